import { catalogOf } from '../sql/catalog.ts'
import type { Definition, StatementClassifier } from '../sql/classifier.ts'
import { type RelationFacts, withoutPlainTables } from '../sql/relation-facts.ts'
import type { CatalogKnowledge } from './catalog-knowledge.ts'

const NEVER = -1

/** How many hints of a change there were when a reading began. The reading knows nothing of later changes. */
export interface Heard {
  readonly news: number
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
  #news = 0
  #newsRead = NEVER
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
    return this.#newsRead === this.#news
  }

  /** A check was asked for. A reading that is under way may have begun too early, so another check must follow. */
  sawRequest(): void {
    this.#news++
  }

  /** Something wrote although the catalog says that it only reads. */
  sawSurprise(): void {
    this.#news++
    this.#withdraw()
  }

  /** This process has changed the schema. If a trigger or a rule may be new, no table is known to be plain any more. */
  sawDefinition(definition: Definition): void {
    const hadPlainTables = this.#relations.plain.size > 0
    this.#news++
    if (definition === 'effects') this.#effects++
    if (definition === 'effects' && hadPlainTables) this.publish()
    else this.#withdraw()
  }

  /** A reading begins. */
  begin(): Heard {
    return { news: this.#news, effects: this.#effects }
  }

  /** A half of the catalog has changed. What is known of the other half may not fit it. */
  sawChange(): void {
    this.#newsRead = NEVER
    this.#withdraw()
  }

  /** Both halves are known, as they were when the reading began. */
  wasRead(
    heard: Heard,
    { isLate, hasChanged }: { readonly isLate: boolean; readonly hasChanged: boolean },
  ): void {
    const hadEffects = heard.effects !== this.#effectsRead
    this.#newsRead = isLate ? NEVER : heard.news
    this.#effectsRead = heard.effects
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
