// Finds the parts of index.html; knows nothing of what they are for.

/** The element with this id, of this kind. Throws when the page and its code do not fit together. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${kind.name} #${id}`);
  }
  return found;
}
