const { markRoute } = require('./mark-route.js')
const { writePinning } = require('./middleware.js')

// `require()` gives the function that makes the middleware, as other middlewares do. Tools that read the names of a
// module from its text find them in these lines.
module.exports = writePinning
module.exports.default = writePinning
module.exports.writePinning = writePinning
module.exports.markRoute = markRoute
