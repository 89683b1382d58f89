// The tester by hand: npm run test:property -- --schemas 200 --statements 50000 --seed 1 --shrink 12
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    schemas: { type: 'string', default: '200' },
    after: { type: 'string' },
    statements: { type: 'string', default: '50000' },
    seconds: { type: 'string', default: '36000' },
    shrink: { type: 'string', default: '12' },
  },
})
const given = Object.entries(values).map(([name, value]) => [`PROPERTY_${name.toUpperCase()}`, value])
const { status } = spawnSync('npx', ['vitest', 'run', 'test/property/property.test.ts'], {
  stdio: 'inherit',
  env: { ...process.env, ...Object.fromEntries(given) },
})
process.exitCode = status ?? 1
