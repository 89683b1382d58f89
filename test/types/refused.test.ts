import { fastify } from 'fastify'
import { Pool } from 'pg'
import { expect, it } from 'vitest'
import { bindContext, capturePin, dbWrite, pinAccount, runWithPin, useNode, usePrimary } from 'write-pinning'
import { rdsIamPassword } from 'write-pinning/aws'
import { markRoute, writePinning as ofExpress } from 'write-pinning/express'
import { writePinning } from 'write-pinning/fastify'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { orPrimary, PrimaryReplicaPool, toReplica } from 'write-pinning/pg'
import { memoryPinStore, redisPinStore } from 'write-pinning/stores'
import { startPostgresCluster } from 'write-pinning/testing'

// Each of these is also refused as it runs; here it is the compiler that refuses.
const url = 'postgres://app@127.0.0.1:1/app'

it('wrong options of the plugin do not compile', () => {
  const app = fastify()
  const wrong = () => {
    // @ts-expect-error: no such option
    app.register(writePinning, { pinningSecond: 5 })
    // @ts-expect-error: a number
    app.register(writePinning, { pinningSeconds: '5' })
    // @ts-expect-error: 'time' or 'exact'
    app.register(writePinning, { pin: 'lsn' })
    // @ts-expect-error: 'method' or 'write'
    app.register(writePinning, { pinOn: 'methods' })
    // @ts-expect-error: no such option of the cookie
    app.register(writePinning, { cookie: { maxAge: 5 } })
    // @ts-expect-error: an answer at once
    app.register(writePinning, { skip: async () => true })
    // @ts-expect-error: Fastify's request has no such method
    app.register(writePinning, { skip: (request) => request.get('x-bot') === '1' })
    // @ts-expect-error: options of the pool
    app.register(writePinning, { maxLagMs: 5 })
  }
  expect(wrong).toBeTypeOf('function')
})

it('wrong options of the middleware, and its use without a call, do not compile', () => {
  const wrong = () => {
    // @ts-expect-error: no such option
    ofExpress({ pinningSecond: 5 })
    // @ts-expect-error: a number
    ofExpress({ pinningSeconds: '5' })
    // @ts-expect-error: Express's request has no such property
    ofExpress({ skip: (request) => request.routeOptions !== undefined })
    // @ts-expect-error: a store has `get` and `raise`
    ofExpress({ pinStore: new Map(), account: () => undefined })
  }
  expect(wrong).toBeTypeOf('function')
})

it('wrong marks of a route do not compile', () => {
  const app = fastify()
  const wrong = () => {
    // @ts-expect-error: true or false
    app.get('/1', { config: { dbWrite: 'yes' } }, async () => '')
    // @ts-expect-error: a name
    app.get('/2', { config: { readFrom: 1 } }, async () => '')
    // @ts-expect-error: no such mark
    markRoute({ dbwrite: true })
    // @ts-expect-error: a name
    markRoute({ readFrom: true })
    // @ts-expect-error: it is given the marks
    markRoute()
    // @ts-expect-error: it is given the handler
    dbWrite()
    // @ts-expect-error: what it is given is a function
    dbWrite(true)
  }
  expect(wrong).toBeTypeOf('function')
})

it('wrong options of the pool and of its nodes do not compile', () => {
  const wrong = () => {
    // @ts-expect-error: it needs to know the replicas, if only that there are none
    new PrimaryReplicaPool({ primary: url })
    // @ts-expect-error: a list
    new PrimaryReplicaPool({ primary: url, replicas: url })
    // @ts-expect-error: no such option
    new PrimaryReplicaPool({ primary: url, replicas: [], maxLag: 5 })
    // @ts-expect-error: options of the plugin
    new PrimaryReplicaPool({ primary: url, replicas: [], pinningSeconds: 5 })
    // @ts-expect-error: one of three words, or a function
    new PrimaryReplicaPool({ primary: url, replicas: [], choose: 'least-lag' })
    // @ts-expect-error: an option of the dialect only
    new PrimaryReplicaPool({ primary: url, replicas: [], cursor: class {} })
    // @ts-expect-error: a number
    new PrimaryReplicaPool({ primary: url, replicas: [{ pool: url, weight: 'low' }] })
    // @ts-expect-error: a function of the pool's candidates gives one of them, or its name
    new PrimaryReplicaPool({ primary: url, replicas: [], choose: () => 1 })
    // @ts-expect-error: the same, of the dialect
    new PrimaryReplicaDialect({ primary: url, replicas: [], maxLag: 5 })
    // @ts-expect-error: a pool that has a driver
    knexClient(new Pool())
  }
  expect(wrong).toBeTypeOf('function')
})

it('wrong marks of a query do not compile', () => {
  const wrong = (pool: PrimaryReplicaPool) => {
    // @ts-expect-error: a text, a configuration or what is submitted
    toReplica(5)
    // @ts-expect-error: a promise of a result is no query any more
    orPrimary(pool.query('select 1'))
  }
  expect(wrong).toBeTypeOf('function')
})

it('wrong uses of scopes and of tokens do not compile', () => {
  const wrong = async (pool: PrimaryReplicaPool) => {
    // @ts-expect-error: a function, and not what it gives
    usePrimary(pool.query('select 1'))
    // @ts-expect-error: the name is missing
    useNode(() => 1)
    // @ts-expect-error: it is given a function
    bindContext('select 1')
    // @ts-expect-error: a number
    await capturePin({ seconds: '60' })
    // @ts-expect-error: no such option
    await capturePin({ pinningSeconds: 60 })
    // @ts-expect-error: a token, and not the promise of one
    runWithPin(capturePin(), () => 1)
    // @ts-expect-error: no such option
    runWithPin(undefined, () => 1, { seconds: 5 })
    // @ts-expect-error: an account's id is a text
    await pinAccount(7)
    // @ts-expect-error: a read-only event of the scope's own result
    const text: string = await usePrimary(async () => 1)
    return text
  }
  expect(wrong).toBeTypeOf('function')
})

it('wrong options of the extras do not compile', () => {
  const wrong = () => {
    // @ts-expect-error: a number
    memoryPinStore({ maxAccounts: '5' })
    // @ts-expect-error: a client
    redisPinStore({})
    // @ts-expect-error: the region is missing
    rdsIamPassword({ hostname: 'db', port: 5432, username: 'app' })
    // @ts-expect-error: no such option
    startPostgresCluster({ replica: 2 })
    // @ts-expect-error: a number
    startPostgresCluster({ replicas: '2' })
  }
  expect(wrong).toBeTypeOf('function')
})
