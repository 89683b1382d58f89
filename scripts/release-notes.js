/** Prints what CHANGELOG.md says of the version in package.json. */
import { readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
const sections = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m)
const own = sections.find((section) => section.startsWith(`[${version}]`)) ?? ''
console.log(own.split('\n').slice(1).join('\n').trim())
