import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

const types = {
  'style.css': 'text/css; charset=utf-8',
  'countdown.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
}

// `public/` stands beside both `src/` and `dist/`.
const assets = Object.entries(types).map(([name, type]) => {
  const content = readFileSync(new URL(`../public/${name}`, import.meta.url))
  const version = createHash('sha256').update(content).digest('base64url').slice(0, 12)
  return { name, type, content, href: `/assets/${version}/${name}` }
})

/** The address of a file in `public/`. It changes with the content, so browsers may keep the file for a year. */
export function href(name: keyof typeof types): string {
  const asset = assets.find((candidate) => candidate.name === name)
  if (!asset) throw new Error(`There is no ${name} in public/`)
  return asset.href
}

export function serveAssets(app: FastifyInstance): void {
  for (const { href, type, content } of assets) {
    app.get(href, (_request, reply) =>
      reply.type(type).header('cache-control', 'public, max-age=31536000, immutable').send(content),
    )
  }
}
