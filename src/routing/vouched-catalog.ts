import { catalogOf } from '../sql/catalog.ts'
import type { Definition, StatementClassifier } from '../sql/classifier.ts'
import { type RelationFacts, withoutPlainTables } from '../sql/relation-facts.ts'
import type { CatalogKnowledge } from './catalog-knowledge.ts'

const NEVER = -1

/** How many hints of a change there were when a reading began. The reading knows nothing of later changes. */
export interface ChangeCounts {
  readonly hints: number
  readonly effects: number
}

/**
 * Hands what is known of the catalog to the classifier, and says whether the catalog may vouch for statements, so that
 * a read counts as one without a question to the server. It may as long as nothing hints that the database has changed.
 */
export class VouchedCatalog {
  readonly #knowledge: CatalogKnowledge
  readonly #classifier: () => StatementClassifier
  /** How many hints of a change there were: up to now, and when the primary's catalog was last read. */
  #hints = 0
  #hintsRead = NEVER
  /** The same for changes by this process that may make a table do more, such as a new trigger. */
  #effects = 0
  #effectsRead = 0
  /** Whether the classifier was told to vouch for what is known. */
  #isVouchedFor = false

  constructor(knowledge: CatalogKnowledge, classifier: () => StatementClassifier) {
    this.#knowledge = knowledge
    this.#classifier = classifier
  }

  /** Whether what is known is all that the primary has: no hint says otherwise. */
  get isCurrent(): boolean {
    return this.#hintsRead === this.#hints
  }

  /** A check was asked for. A reading that is under way may have begun too early, so another check must follow. */
  requestCheck(): void {
    this.#hints++
  }

  /** Something wrote although the catalog says that it only reads. */
  sawUnexpectedWrite(): void {
    this.#hints++
    this.#withdraw()
  }

  /** This process has changed the schema. If a trigger or a rule may be new, no table is known to be plain any more. */
  sawDefinition(definition: Definition): void {
    const hadPlainTables = this.#relations.plain.size > 0
    this.#hints++
    if (definition === 'effects') this.#effects++
    if (definition === 'effects' && hadPlainTables) this.publish()
    else this.#withdraw()
  }

  /** A reading begins. */
  begin(): ChangeCounts {
    return { hints: this.#hints, effects: this.#effects }
  }

  /** A half of the catalog has changed. What is known of the other half may not fit it. */
  sawChange(): void {
    this.#hintsRead = NEVER
    this.#withdraw()
  }

  /** Both halves are known, as they were when the reading began. */
  wasRead(
    before: ChangeCounts,
    { isFromReplica, hasChanged }: { readonly isFromReplica: boolean; readonly hasChanged: boolean },
  ): void {
    const hadEffects = before.effects !== this.#effectsRead
    this.#hintsRead = isFromReplica ? NEVER : before.hints
    this.#effectsRead = before.effects
    // Nearly every check ends here without a change. Then what is known of the texts still holds.
    if (hasChanged || hadEffects || this.isCurrent !== this.#isVouchedFor) this.publish()
    // What replicas refused is classified again, by what is known now.
    if (hasChanged) this.#classifier().forgetRefused()
  }

  publish(): void {
    const { functions } = this.#knowledge
    if (functions === undefined) return
    this.#isVouchedFor = this.isCurrent
    this.#classifier().catalog = catalogOf(functions, this.#relations, this.#isVouchedFor)
  }

  #withdraw(): void {
    if (this.#isVouchedFor) this.publish()
  }

  /** What counts as known of the relations now. */
  get #relations(): RelationFacts {
    const { relations } = this.#knowledge
    return this.#effects === this.#effectsRead ? relations : withoutPlainTables(relations)
  }
}
