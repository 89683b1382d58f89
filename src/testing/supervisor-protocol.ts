/** What the supervisor gets when it is started. */
export interface SupervisorSetup {
  /** Where it makes the cluster's directory. */
  temporaryRoot: string
  /** The user that the servers run as, if it is not the user that runs the tests. */
  user?: { uid: number; gid: number } | undefined
}

/** A command that ends by itself, such as `initdb`. */
export interface SupervisedCommand {
  command: string
  args: readonly string[]
  /** The text that it reads from its standard input. */
  input: string
  logFile: string
}

/** A PostgreSQL server, which runs until it is told to end. */
export interface SupervisedServer {
  /** The name that later orders use for this server. */
  name: string
  postgres: string
  args: readonly string[]
  dataDirectory: string
  logFile: string
}

/** What the test process asks of the supervisor. */
export type SupervisorOrder =
  | { kind: 'run'; command: SupervisedCommand }
  | { kind: 'serve'; server: SupervisedServer }
  | { kind: 'signal'; name: string; signal: NodeJS.Signals }
  | { kind: 'freeze' | 'thaw' | 'kill'; name: string }

/** What the supervisor says. `done` and `failed` answer the order with that id. */
export type SupervisorMessage =
  | { kind: 'ready'; directory: string }
  | { kind: 'done'; id: number; result: number }
  | { kind: 'failed'; id: number; reason: string }
  | { kind: 'exited'; name: string }
