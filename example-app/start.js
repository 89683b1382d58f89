/**
 * What `npm start` runs: it builds the package and the example, and becomes the example.
 *
 * npm passes SIGTERM on to the process that it started, and to no other. A shell there would end, and leave the build that it waits for
 * to run on. So this process stands there from the beginning, and ends whatever it has started.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const STEPS = [['build.js'], ['node_modules/typescript/bin/tsc', '-p', 'example-app/tsconfig.json']]
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

const root = fileURLToPath(new URL('..', import.meta.url))
let step
let isStopped = false

function stop() {
  isStopped = true
  if (step !== undefined) endGroup(step.pid)
}

/** Signals a step with all of its processes, since the compiler is a child of a child; true while there are any. */
function endGroup(pid) {
  try {
    return process.kill(-pid, 'SIGTERM')
  } catch {
    return false
  }
}

for (const signal of SIGNALS) process.on(signal, stop)
for (const args of STEPS) {
  step = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', detached: true })
  const [code] = await once(step, 'exit')
  if (isStopped) {
    // One that was just being started has not had the signal.
    while (endGroup(step.pid)) await setTimeout(20)
    break
  }
  if (code !== 0) process.exit(code ?? 1)
}
// The example has its own.
for (const signal of SIGNALS) process.off(signal, stop)

if (isStopped) console.log('\nStopped.')
else await import('./dist/main.js')
