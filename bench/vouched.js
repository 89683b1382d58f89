/**
 * Makes the next classifier that is used take the catalog as read and current, as in a service that has run for a
 * second. The servers here answer at once with nothing, so they have no catalog to read.
 */
import { BUILT_IN_CATALOG } from '../dist/sql/catalog.js'
import { StatementClassifier } from '../dist/sql/classifier.js'

const { classify } = StatementClassifier.prototype

StatementClassifier.prototype.classify = function (sql) {
  StatementClassifier.prototype.classify = classify
  this.catalog = { ...BUILT_IN_CATALOG, isCurrent: true, areRelationsRead: true }
  return this.classify(sql)
}
