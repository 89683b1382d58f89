import { expect, it } from 'vitest'
import { memoryPinStore } from 'write-pinning/stores'
import { contract } from '../contract/contract.ts'
import { useLaggingShop } from '../contract/lagging-shop.ts'
import { pinCookie } from '../support/http.ts'

const { read } = useLaggingShop()
const WITHOUT_ACCOUNT =
  ", so this request has no account, and only its cookie is pinned. Give undefined where it is nobody's; on Express, use the " +
  'middleware once more behind authentication: `app.use(pinning, authentication, pinning)`.'

contract((serve) => {
  it.each<[string, () => string, string]>([
    [
      'its name, and its message where it is of the code',
      () => (undefined as unknown as { id: string }).id,
      "TypeError: Cannot read properties of undefined (reading 'id')",
    ],
    [
      'the same of a value that is taken apart',
      () => {
        const request = {} as { user: { id: string } }
        const { id } = request.user
        return id
      },
      "TypeError: Cannot destructure property 'id' of 'request.user' as it is undefined.",
    ],
    [
      'the same of what is no function',
      () => {
        const user = {} as { id(): string }
        return user.id()
      },
      'TypeError: user.id is not a function',
    ],
    [
      'its name only, where its message may quote a user',
      () => {
        throw new RangeError('anna@example.com is not a function')
      },
      'RangeError',
    ],
    [
      'its name only, where a key may be what a user sent',
      () => (undefined as unknown as Record<string, string>)['anna@example.com'] as string,
      'TypeError',
    ],
    [
      'nothing of a name that is none',
      () => {
        throw Object.assign(new Error('no'), { name: 'anna@example.com' })
      },
      'an error',
    ],
    [
      'that it is none',
      () => {
        throw 'anna'
      },
      'something that is no error',
    ],
  ])(
    'the warning of an `account` that throws tells of the error %s, and what follows',
    async (_what, account, error) => {
      const { userAgent, warnings } = await serve({
        options: { pinStore: memoryPinStore(), account },
        routes: { 'POST /': async () => ({ body: 'done' }) },
      })
      for (let posts = 0; posts < 2; posts++) expect(pinCookie(await userAgent().post('/'))).toBeDefined()
      expect(warnings).toEqual([`The option \`account\` threw ${error}${WITHOUT_ACCOUNT}`])
    },
  )

  it('the warning of an `affinity` that throws says so, too', async () => {
    const affinity = () => (undefined as unknown as { id: string }).id
    const { userAgent, warnings } = await serve({
      options: { affinity },
      routes: { 'GET /': async () => ({ body: await read() }) },
    })
    expect((await userAgent().get('/')).status).toBe(200)
    expect(warnings).toEqual([
      "The option `affinity` threw TypeError: Cannot read properties of undefined (reading 'id'), so this request reads from any " +
        'replica. Give undefined where it has no key.',
    ])
  })

  it.each([
    ['throws', () => (undefined as unknown as { id: string }).id],
    ['gives nothing', () => undefined],
  ])(
    'an `account` that %s after the request has logged out pins who was logged in, without a word',
    async (_what, loggedOut) => {
      const pinStore = memoryPinStore()
      let ask: () => string | undefined = () => 'anna'
      const { userAgent, warnings } = await serve({
        options: { pinStore, account: () => ask() },
        routes: {
          'POST /logout': async () => {
            ask = loggedOut
            return { body: 'done' }
          },
        },
      })
      expect(pinCookie(await userAgent().post('/logout'))).toBeDefined()
      expect(warnings).toEqual([])
      expect(await pinStore.get('anna')).toBeDefined()
    },
  )
})
