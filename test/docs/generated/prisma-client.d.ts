/** The part of a client that `prisma generate` makes which the pages use, of the models `Item`, `Comment` and `User`. */
import type { PrismaPg } from '@prisma/adapter-pg'

export interface Item {
  id: number
  name: string
}

export interface Comment {
  id: number
  text: string
  authorId: number
}

export interface User {
  id: number
  name: string
  email: string
}

interface Model<Row extends { id: number }> {
  findMany(query?: {
    where?: Partial<Row>
    orderBy?: { [Column in keyof Row]?: 'asc' | 'desc' }
    take?: number
    skip?: number
  }): Promise<Row[]>
  findFirst(query?: { where?: Partial<Row> }): Promise<Row | null>
  findUnique(query: { where: Partial<Row> }): Promise<Row | null>
  findUniqueOrThrow(query: { where: Partial<Row> }): Promise<Row>
  count(query?: { where?: Partial<Row> }): Promise<number>
  create(query: { data: Omit<Row, 'id'> & { id?: number } }): Promise<Row>
  createMany(query: { data: (Omit<Row, 'id'> & { id?: number })[] }): Promise<{ count: number }>
  update(query: { where: Partial<Row>; data: Partial<Row> }): Promise<Row>
  updateMany(query: { where?: Partial<Row>; data: Partial<Row> }): Promise<{ count: number }>
  upsert(query: {
    where: Partial<Row>
    create: Omit<Row, 'id'> & { id?: number }
    update: Partial<Row>
  }): Promise<Row>
  delete(query: { where: Partial<Row> }): Promise<Row>
  deleteMany(query?: { where?: Partial<Row> }): Promise<{ count: number }>
}

// biome-ignore lint/style/noNamespace: the generated client has one
declare namespace Prisma {
  interface TransactionClient {
    readonly item: Model<Item>
    readonly comment: Model<Comment>
    readonly user: Model<User>
    $queryRaw<T = unknown>(text: TemplateStringsArray, ...values: unknown[]): Promise<T>
    $executeRaw(text: TemplateStringsArray, ...values: unknown[]): Promise<number>
    $queryRawUnsafe<T = unknown>(text: string, ...values: unknown[]): Promise<T>
    $executeRawUnsafe(text: string, ...values: unknown[]): Promise<number>
  }
}

export { Prisma }

export declare class PrismaClient implements Prisma.TransactionClient {
  readonly item: Model<Item>
  readonly comment: Model<Comment>
  readonly user: Model<User>
  constructor(options: { adapter: PrismaPg; log?: ('query' | 'info' | 'warn' | 'error')[] })
  $queryRaw<T = unknown>(text: TemplateStringsArray, ...values: unknown[]): Promise<T>
  $executeRaw(text: TemplateStringsArray, ...values: unknown[]): Promise<number>
  $queryRawUnsafe<T = unknown>(text: string, ...values: unknown[]): Promise<T>
  $executeRawUnsafe(text: string, ...values: unknown[]): Promise<number>
  $transaction<T>(
    work: (inside: Prisma.TransactionClient) => Promise<T>,
    options?: { isolationLevel?: string; maxWait?: number; timeout?: number },
  ): Promise<T>
  $transaction<T extends readonly Promise<unknown>[]>(
    statements: [...T],
  ): Promise<{ -readonly [Index in keyof T]: Awaited<T[Index]> }>
  $extends(extension: {
    query: {
      [Name in 'item' | 'comment' | 'user']?: {
        findUnique?: (call: {
          args: Parameters<PrismaClient[Name]['findUnique']>[0]
          query: PrismaClient[Name]['findUnique']
        }) => unknown
      }
    }
  }): PrismaClient
  $connect(): Promise<void>
  $disconnect(): Promise<void>
}
