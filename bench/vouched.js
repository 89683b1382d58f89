/**
 * Has the next classifier that is used take the catalog for read and current, as it is in a service that has run for a second: the
 * servers that answer at once, with nothing, have none to read.
 */
import { BUILT_IN_CATALOG } from '../dist/sql/catalog.js'
import { StatementClassifier } from '../dist/sql/classifier.js'

const { classify } = StatementClassifier.prototype

StatementClassifier.prototype.classify = function (sql) {
  StatementClassifier.prototype.classify = classify
  this.catalog = { ...BUILT_IN_CATALOG, isCurrent: true, areRelationsRead: true }
  return this.classify(sql)
}
