import { createRequire } from 'node:module'
import { type GetPrismaClientConfig, getPrismaClient } from '@prisma/client/runtime/client'

const require = createRequire(import.meta.url)
const COMPILER = '@prisma/client/runtime/query_compiler_small_bg.postgresql'

/**
 * What `prisma generate` makes of this schema, less its types and comments: the command brings some 150 packages and downloads
 * a program of its own. To make it anew, run the command in a folder outside, and take `internal/class.ts` over.
 */
const schema = `
generator client {
  provider      = "prisma-client"
  output        = "./generated"
  compilerBuild = "small"
}

datasource db {
  provider = "postgresql"
}

model Item {
  id   Int    @id @default(autoincrement())
  name String

  @@map("item")
}
`

const config = {
  previewFeatures: [],
  clientVersion: '7.10.0',
  engineVersion: '0edf323efd1d98336f3f0a68684b56f689b900d3',
  activeProvider: 'postgresql',
  inlineSchema: schema,
  runtimeDataModel: {
    models: {
      Item: {
        fields: [
          { name: 'id', kind: 'scalar', type: 'Int' },
          { name: 'name', kind: 'scalar', type: 'String' },
        ],
        dbName: 'item',
        schema: null,
      },
    },
    enums: {},
    types: {},
  },
  parameterizationSchema: {
    strings: [
      'where',
      'Item.findUnique',
      'Item.findUniqueOrThrow',
      'orderBy',
      'cursor',
      'Item.findFirst',
      'Item.findFirstOrThrow',
      'Item.findMany',
      'data',
      'Item.createOne',
      'Item.createMany',
      'Item.createManyAndReturn',
      'Item.updateOne',
      'Item.updateMany',
      'Item.updateManyAndReturn',
      'create',
      'update',
      'Item.upsertOne',
      'Item.deleteOne',
      'Item.deleteMany',
      'having',
      '_count',
      '_avg',
      '_sum',
      '_min',
      '_max',
      'Item.groupBy',
      'Item.aggregate',
      'AND',
      'OR',
      'NOT',
      'id',
      'name',
      'equals',
      'in',
      'notIn',
      'lt',
      'lte',
      'gt',
      'gte',
      'contains',
      'startsWith',
      'endsWith',
      'not',
      'set',
      'increment',
      'decrement',
      'multiply',
      'divide',
    ],
    graph:
      'KwsQBRwAACIAMB0AAAQAEB4AACIAMB8CAAAAASABACQAIQEAAAABACABAAAAAQAgBRwAACIAMB0AAAQAEB4AACIAMB8CACMAISABACQAIQADAAAABAAgAwAABQAwBAAAAQAgAwAAAAQAIAMAAAUAMAQAAAEAIAMAAAAEACADAAAFADAEAAABACACHwIAAAABIAEAAAABAQgAAAkAIAIfAgAAAAEgAQAAAAEBCAAACwAwAQgAAAsAMAIfAgArACEgAQAqACECAAAAAQAgCAAADgAgAh8CACsAISABACoAIQIAAAAEACAIAAAQACACAAAABAAgCAAAEAAgAwAAAAEAIA8AAAkAIBAAAA4AIAEAAAABACABAAAABAAgBRUAACUAIBYAACYAIBcAACkAIBgAACgAIBkAACcAIAUcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAQAcACEDAAAABAAgAwAAFgAwFAAAFwAgAwAAAAQAIAMAAAUAMAQAAAEAIAUcAAAaADAdAAAXABAeAAAaADAfAgAbACEgAQAcACENFQAAHgAgFgAAIQAgFwAAHgAgGAAAHgAgGQAAHgAgIQIAAAABIgIAAAAEIwIAAAAEJAIAAAABJQIAAAABJgIAAAABJwIAAAABKwIAIAAhDhUAAB4AIBgAAB8AIBkAAB8AICEBAAAAASIBAAAABCMBAAAABCQBAAAAASUBAAAAASYBAAAAAScBAAAAASgBAAAAASkBAAAAASoBAAAAASsBAB0AIQ4VAAAeACAYAAAfACAZAAAfACAhAQAAAAEiAQAAAAQjAQAAAAQkAQAAAAElAQAAAAEmAQAAAAEnAQAAAAEoAQAAAAEpAQAAAAEqAQAAAAErAQAdACEIIQIAAAABIgIAAAAEIwIAAAAEJAIAAAABJQIAAAABJgIAAAABJwIAAAABKwIAHgAhCyEBAAAAASIBAAAABCMBAAAABCQBAAAAASUBAAAAASYBAAAAAScBAAAAASgBAAAAASkBAAAAASoBAAAAASsBAB8AIQ0VAAAeACAWAAAhACAXAAAeACAYAAAeACAZAAAeACAhAgAAAAEiAgAAAAQjAgAAAAQkAgAAAAElAgAAAAEmAgAAAAEnAgAAAAErAgAgACEIIQgAAAABIggAAAAEIwgAAAAEJAgAAAABJQgAAAABJggAAAABJwgAAAABKwgAIQAhBRwAACIAMB0AAAQAEB4AACIAMB8CACMAISABACQAIQghAgAAAAEiAgAAAAQjAgAAAAQkAgAAAAElAgAAAAEmAgAAAAEnAgAAAAErAgAeACELIQEAAAABIgEAAAAEIwEAAAAEJAEAAAABJQEAAAABJgEAAAABJwEAAAABKAEAAAABKQEAAAABKgEAAAABKwEAHwAhAAAAAAABLAEAAAABBSwCAAAAAS0CAAAAAS4CAAAAAS8CAAAAATACAAAAAQAAAAAFFQAGFgAHFwAIGAAJGQAKAAAAAAAFFQAGFgAHFwAIGAAJGQAKAQIBAgMBBQYBBgcBBwgBCQoBCgwCCw0DDA8BDRECDhIEERMBEhQBExUCGhgFGxkL',
  },
  compilerWasm: {
    getRuntime: async () => require(`${COMPILER}.js`),
    getQueryCompilerWasmModule: async () => {
      const { wasm } = require(`${COMPILER}.wasm-base64.js`)
      const { Module } = Reflect.get(globalThis, 'WebAssembly')
      return new Module(Buffer.from(wasm, 'base64'))
    },
    importName: './query_compiler_small_bg.js',
  },
}

interface Item {
  id: number
  name: string
}

/** The part of the generated client that the tests use. */
export interface PrismaStatements {
  readonly item: {
    findMany(query: { where?: Partial<Item>; orderBy?: { id: 'asc' } }): Promise<Item[]>
    findFirst(query: { where: { id: number } }): Promise<Item | null>
    findUnique(query: { where: { id: number } }): Promise<Item | null>
    create(query: { data: { name: string } }): Promise<Item>
    updateMany(query: { where: Partial<Item>; data: Partial<Item> }): Promise<{ count: number }>
  }
  $queryRawUnsafe<Rows>(text: string, ...values: unknown[]): Promise<Rows>
}

export interface PrismaClient extends PrismaStatements {
  $extends(extension: object): PrismaClient
  $transaction<T>(work: (inside: PrismaStatements) => Promise<T>): Promise<T>
  $disconnect(): Promise<void>
}

export const PrismaClient = getPrismaClient(
  config as unknown as GetPrismaClientConfig,
) as unknown as new (options: {
  adapter: unknown
}) => PrismaClient
