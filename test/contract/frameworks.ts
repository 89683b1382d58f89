import express5 from 'express'
import express4 from 'express4'
import { expressFramework } from './express.ts'
import { fastify5 } from './fastify-5.ts'
import type { Framework } from './framework.ts'

/** Every framework that the package is for; another one needs an adapter, and a place in this list. */
export const frameworks: readonly Framework[] = [
  fastify5,
  expressFramework('Express 4', express4),
  expressFramework('Express 5', express5),
]
