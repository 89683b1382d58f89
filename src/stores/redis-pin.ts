import { addPart, pinOfParts } from '../freshness/merge-pins.ts'
import type { ClusterPin, Pin } from '../freshness/pin.ts'
import { isPosition } from '../freshness/position.ts'

/**
 * Writes a pin as the fields of a Redis hash. All numbers are decimal and of one length, so that Redis can compare
 * them as texts. Redis's own numbers would not be exact.
 *
 * - `t`: until when every cluster is read from its primary
 * - `c:<place>`: until when this cluster is read from its primary
 * - `e:<place>`: until when this cluster is read from any node that has replayed a position, and that position:
 *   system identifier, timeline, LSN
 */
export function writtenFields(pin: Pin): string[] {
  if (pin.kind === 'time') return ['t', digits(pin.untilMs, UNTIL)]
  const fields: string[] = []
  if (pin.primaryUntilMs > 0) fields.push('t', digits(pin.primaryUntilMs, UNTIL))
  for (const [place, { primaryUntilMs, exact }] of pin.clusters) {
    if (primaryUntilMs > 0) fields.push(`c:${place}`, digits(primaryUntilMs, UNTIL))
    if (exact === undefined) continue
    const { systemId, timeline, lsn } = exact.position
    const position = [digits(systemId, 20), digits(timeline, 10), digits(lsn, 20)]
    fields.push(`e:${place}`, [digits(exact.untilMs, UNTIL), ...position].join(' '))
  }
  return fields
}

/**
 * Reads a pin from such fields.
 *
 * @throws if another program has written to the key.
 */
export function pinOfFields(hash: object, nowMs: number): Pin | undefined {
  let primaryUntilMs = 0
  const clusters = new Map<string, ClusterPin>()
  // A client can be configured to give maps.
  const fields = hash instanceof Map ? hash : Object.entries(hash)
  for (const [field, value] of fields) {
    const match = VALUE.exec(String(value))
    if (match === null) throw new Error('A field of the hash is none of a pin.')
    const [, until, systemId = '', timeline = '', lsn = ''] = match
    const untilMs = Number(until)
    const place = field.slice(2)
    if (field === 't') primaryUntilMs = untilMs
    else if (field.startsWith('c:')) addPart(clusters, place, { primaryUntilMs: untilMs, exact: undefined })
    else {
      const position = { systemId: BigInt(systemId).toString(), timeline: Number(timeline), lsn: BigInt(lsn) }
      if (!isPosition(position)) throw new Error('A field of the hash is no position.')
      addPart(clusters, place, { primaryUntilMs: 0, exact: { position, untilMs } })
    }
  }
  return pinOfParts(primaryUntilMs, clusters, nowMs)
}

/** How many digits a time has. */
const UNTIL = 16
const VALUE = /^(\d{16})(?: (\d{20}) (\d{10}) (\d{20}))?$/

function digits(value: number | bigint | string, length: number): string {
  return String(value).padStart(length, '0')
}

/**
 * Raises a pin by another one, field by field, as `mergePins()` does: the later expiry and the further position
 * count. If two positions cannot be compared, the one with the later timeline or expiry stays. The other one demands
 * the primary until it expires. The key is deleted a minute after its last field is over, because clocks differ.
 */
export const RAISE = `
local function raise(field, value)
  local old = redis.call('HGET', KEYS[1], field)
  if not old or value > old then redis.call('HSET', KEYS[1], field, value) end
end
for i = 1, #ARGV, 2 do
  local field, new = ARGV[i], ARGV[i + 1]
  local old = string.sub(field, 1, 2) == 'e:' and redis.call('HGET', KEYS[1], field)
  if not old then
    raise(field, new)
  else
    local oldUntil, oldSystem, oldTimeline, oldLsn = string.match(old, '^(%d+) (%d+) (%d+) (%d+)$')
    local newUntil, newSystem, newTimeline, newLsn = string.match(new, '^(%d+) (%d+) (%d+) (%d+)$')
    local place = 'c:' .. string.sub(field, 3)
    local isNewer = newUntil >= oldUntil
    if newSystem == oldSystem then
      isNewer = newTimeline > oldTimeline or (newTimeline == oldTimeline and newLsn >= oldLsn)
    end
    if newSystem == oldSystem and newTimeline == oldTimeline then
      local untilMs = newUntil > oldUntil and newUntil or oldUntil
      local lsn = isNewer and newLsn or oldLsn
      redis.call('HSET', KEYS[1], field, table.concat({ untilMs, newSystem, newTimeline, lsn }, ' '))
    elseif isNewer then
      redis.call('HSET', KEYS[1], field, new)
      raise(place, oldUntil)
    else
      raise(place, newUntil)
    end
  end
end
local last = '0'
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  local untilMs = string.sub(value, 1, ${UNTIL})
  if untilMs > last then last = untilMs end
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last) + 60000))
`
