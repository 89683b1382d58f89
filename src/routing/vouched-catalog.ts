import { catalogOf } from '../sql/catalog.ts'
import type { Definition, StatementClassifier } from '../sql/classifier.ts'
import { type RelationFacts, withoutPlainTables } from '../sql/relation-facts.ts'
import type { CatalogKnowledge } from './catalog-knowledge.ts'

const NEVER = -1

/** What had been heard when a reading began: it knows nothing of what came after. */
export interface Heard {
  readonly news: number
  readonly effects: number
}

/**
 * Hands what is known of the catalog to the classifier, and with it whether that may be vouched for: only as long as nothing has told that
 * the database may be another by now.
 */
export class VouchedCatalog {
  readonly #knowledge: CatalogKnowledge
  readonly #classifier: () => StatementClassifier
  /** How often something has told so, and how often it had when the primary's catalog was read last. */
  #news = 0
  #newsRead = NEVER
  /** The same of what may make a table do more that this process has defined. */
  #effects = 0
  #effectsRead = 0
  /** Whether the classifier takes what is known for all that the primary has. */
  #isVouchedFor = false

  constructor(knowledge: CatalogKnowledge, classifier: () => StatementClassifier) {
    this.#knowledge = knowledge
    this.#classifier = classifier
  }

  /** Whether what is known is all that the primary has, as far as anybody has told. */
  get isCurrent(): boolean {
    return this.#newsRead === this.#news
  }

  /** What is being read may be too early: another look has to follow. */
  sawRequest(): void {
    this.#news++
  }

  /** Something wrote that is called harmless. */
  sawSurprise(): void {
    this.#news++
    this.#withdraw()
  }

  /** This process has changed the schema. Where a trigger or a rule may be new, no table is known to be plain any more. */
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

  /** A half of the catalog has changed; what is known of the other may not fit to it. */
  sawChange(): void {
    this.#newsRead = NEVER
    this.#withdraw()
  }

  /** All of it is known, as it was when the reading began. */
  wasRead(
    heard: Heard,
    { isLate, hasChanged }: { readonly isLate: boolean; readonly hasChanged: boolean },
  ): void {
    const hadEffects = heard.effects !== this.#effectsRead
    this.#newsRead = isLate ? NEVER : heard.news
    this.#effectsRead = heard.effects
    // Nearly every look ends here: what is known of the texts goes on to hold.
    if (hasChanged || hadEffects || this.isCurrent !== this.#isVouchedFor) this.publish()
    // What replicas refused is judged anew by what is known now.
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

  /** What may be said of the relations by now. */
  get #relations(): RelationFacts {
    const { relations } = this.#knowledge
    return this.#effects === this.#effectsRead ? relations : withoutPlainTables(relations)
  }
}
