const { markRoute } = require('./mark-route.js')
const { writePinning } = require('./middleware.js')

// What makes the middleware itself, as other middlewares are for `require()`; what reads a module's names from its text reads these.
module.exports = writePinning
module.exports.default = writePinning
module.exports.writePinning = writePinning
module.exports.markRoute = markRoute
