import express from 'express'
import { fastify } from 'fastify'
import { beforeAll, describe, expect, test } from 'vitest'
import { writePinning as forExpress } from 'write-pinning/express'
import { writePinning as forFastify } from 'write-pinning/fastify'
import { SECRET } from '../support/exact.ts'
import { checkGuarantees, READERS, tick } from '../support/session-guarantees.ts'
import { useShop } from '../support/shop.ts'

// With `monotonicReads`, no user agent goes back in time or misses its own write, whatever fails. This is tested on
// Fastify, which can hold a response up, and on Express, which cannot. READS is the number of reads for each; give a
// higher one by hand.
const READS = Number(process.env.READS ?? 50_000)
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const { cluster, open: openOn, listen } = useShop({ replicas: 2, sql: 'create table tick as select 1 as n' })

beforeAll(() => console.log(`The seed is ${SEED}.`))

const OPTIONS = { pin: 'exact', monotonicReads: true, secret: SECRET } as const

function open() {
  return openOn({ probeIntervalMs: 200, readTimeoutMs: 5_000 })
}

const APPLICATIONS: Record<string, () => Promise<string>> = {
  Fastify: async () => {
    const db = open()
    const app = fastify()
    await app.register(forFastify, OPTIONS)
    for (const [path, read] of Object.entries(READERS)) app.get(`/${path}`, () => read(db))
    app.post('/tick', async () => [await tick(db)])
    return (await listen(app))().origin
  },
  Express: async () => {
    const db = open()
    const app = express()
    app.use(forExpress(OPTIONS))
    for (const [path, read] of Object.entries(READERS)) {
      app.get(`/${path}`, async (_request, response) => {
        response.json(await read(db))
      })
    }
    app.post('/tick', async (_request, response) => {
      response.json([await tick(db)])
    })
    app.use(((_error, _request, response, _next) => {
      response.status(500).end()
    }) as express.ErrorRequestHandler)
    return (await listen(app))().origin
  },
}

describe.each(Object.keys(APPLICATIONS))('%s', (framework) => {
  test(`gives nobody less than before in ${READS} reads under faults`, { timeout: 1_200_000 }, async () => {
    const origin = (await APPLICATIONS[framework]?.()) ?? ''
    const report = await checkGuarantees({ cluster, origin, reads: READS, seed: SEED })
    console.log(framework, JSON.stringify({ ...report, violations: report.violations.length }))
    expect(report.violations).toEqual([])
    expect(Object.keys(report.faults).length).toBeGreaterThan(3)
    expect(report.failed).toBeLessThan(report.reads / 5)
  })
})
