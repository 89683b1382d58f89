// playwright-core's types name these of the DOM's; the rest of the DOM has no business in a package for Node.js.
interface Node {
  readonly nodeName: string
}
interface HTMLElement extends Node {}
interface SVGElement extends Node {}
interface HTMLElementTagNameMap {
  [tag: string]: HTMLElement
}
