/** Colours of the page, for what is drawn on a canvas: custom properties of style.css, light or dark as they are. */
const NAMES = ['text', 'dim', 'faint', 'page', 'line', 'accent', 'soft', 'second']

/** @returns {Object<string, string>} each colour by its name, as they are for an element now */
export function coloursOf(element) {
  const style = getComputedStyle(element)
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]))
}

/** Dashes that tell lines apart without their colour, the first line solid. */
export const DASHES = ['solid', [6, 3], [2, 3], [9, 3, 2, 3], [4, 2, 1, 2, 1, 2]]

/** A colour of its own for each of `n` lines: hues around the circle, the first a blue. */
export const hues = (n) => Array.from({ length: n }, (_, k) => `hsl(${Math.round(212 + (360 * k) / n) % 360} 52% 52%)`)
