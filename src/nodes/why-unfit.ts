import type { Ineligibility, Node } from './node.ts'

/** Why a replica serves no reads, as a sentence without its end: `'replica-1' is down (connect ECONNREFUSED …)`. */
export function whyUnfit(node: Node, maxLagBytes: number | undefined): string {
  return `'${node.name}' ${WORDS[node.ineligibility ?? 'unknown'](node, maxLagBytes)}`
}

const WORDS: Record<Ineligibility, (node: Node, maxLagBytes: number | undefined) => string> = {
  unknown: () => 'has not answered yet',
  down: ({ downBecause = 'it does not answer' }) => `is down (${downBecause})`,
  drained: ({ name }) => `is drained (until \`resume('${name}')\`)`,
  lagging: howLate,
  'lag-unknown': whyUnknown,
  'not-in-recovery': () => 'takes writes: it was promoted, or is another server',
  'other-cluster': () => 'has the data of another cluster',
  'other-database': () => 'is connected to another database of the same servers',
  diverged: () => 'has replayed what the primary never wrote, and has to be rebuilt',
  'old-timeline': () => 'has no proof yet that it follows the new primary',
  'newer-timeline': () => 'follows another primary, which was promoted',
}

function whyUnknown({ sighting, knownUntilMs }: Node): string {
  if (sighting === undefined) return 'does not say how late it is'
  if (Date.now() > knownUntilMs) {
    return 'was not heard of lately (was this process stopped, or its host?), so nobody knows how late it is'
  }
  return sighting.position === undefined
    ? 'does not say how late it is'
    : 'has not replayed yet what the primary had written when this process first saw it, so nobody knows how late it is'
}

function howLate({ lagMs = 0, maxLagMs, lagBytes }: Node, maxLagBytes: number | undefined): string {
  return lagMs > maxLagMs
    ? `is ${Math.round(lagMs)} ms late, and \`maxLagMs\` is ${maxLagMs}`
    : `is ${lagBytes} bytes behind, and \`maxLagBytes\` is ${maxLagBytes}`
}
