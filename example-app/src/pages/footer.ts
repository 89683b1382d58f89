import type { RouteEvent, RouteReason } from 'write-pinning'
import { type Html, html } from '../html.ts'
import type { Frame } from './frame.ts'

const reasons: Record<RouteReason, string> = {
  write: 'it writes',
  session: 'it is bound to the session',
  function: 'it calls a function that may write',
  refused: 'a replica refused it',
  mark: 'its query is marked',
  'or-primary': 'a replica had no row for it',
  locking: 'it locks rows',
  transaction: 'it is part of a transaction',
  'same-connection': 'its connection had moved there',
  'primary-table': 'its table is always read there',
  read: 'any node will do for this read',
  pin: 'this browser is pinned',
  'bad-signature': 'nobody can tell whether this browser is pinned',
  monotonic: 'an earlier read has seen as much',
  'write-request': 'it belongs to a form that writes',
  'own-write': 'this request has written before',
  'read-from': 'its route says so',
  'use-primary': 'the code asked for the primary',
  'use-replica': 'the code asked for a replica',
  'use-node': 'the code asked for this node',
  'no-context': 'it belongs to no request',
  'no-replica': 'there is no replica that is fit',
  overflow: 'no replica is in time, and the primary is busy',
  moved: 'another node failed it',
  mode: 'an operator had the primary serve',
  share: 'an operator had the primary serve',
}

/** Shows which node answered each statement of this page and why, and how long the pin still lasts. */
export function footer(frame: Frame): Html {
  const { statements, visit } = frame
  return html`<footer class="trace" aria-labelledby="trace">
        <h2 id="trace">How this page was read</h2>
        ${pinState(frame)}
        ${visit.lastWrite && statementList(html`Your form, <code>POST ${visit.lastWrite.form}</code>`, visit.lastWrite.statements)}
        ${statementList('This page', statements)}
      </footer>`
}

function pinState({ pin, isPinningOff, now }: Frame): Html {
  if (isPinningOff) {
    return html`<p>Write pinning is off for this browser: a page may come from a replica that has not replayed
      what you just did.</p>`
  }
  if (!pin.pinned || !pin.until) {
    return html`<p>Not pinned: this browser’s pages are read from the replicas until it changes something.</p>`
  }
  const left = Math.max(1, Math.ceil((pin.until.getTime() - now) / 1000))
  return html`<p data-pin>Pinned for <strong data-seconds-left="${left}">${left} s</strong> more: this browser has just
      changed something, so its pages are read from the primary.</p>`
}

function statementList(title: Html | string, statements: readonly RouteEvent[]): Html {
  return html`<section>
          <h3>${title}</h3>
          ${statements.length === 0 ? html`<p>No statement was needed.</p>` : html`<ol>${statements.map(line)}</ol>`}
        </section>`
}

// Kysely and Drizzle quote every name. People read the statement better without quotes.
function line({ node, role, reason, sql }: RouteEvent): Html {
  return html`
            <li><span class="node ${role}">${node}</span> <span class="why">${reasons[reason]}</span> <code>${sql.replaceAll('"', '')}</code></li>`
}
