/** What an item is called, in one line: its name, else its id. */
export const nameOf = (item) => (item.name ?? item.id).replaceAll(/\s+/g, ' ')

/** A lane holds more than one behaviour, and lanes are not too many: about so many kinds are best. */
const KINDS = 7

/** The features that can group behaviours: those whose values several share, the most telling first. */
export function groupings(history) {
  const features = [...new Set(history.flatMap(({ item }) => Object.keys(item.features)))]
  const kinds = new Map(features.map((name) => [name, new Set(history.map(({ item }) => item.features[name])).size]))
  const far = (name) => Math.abs(Math.log(kinds.get(name) / KINDS))
  const shared = features.filter((name) => kinds.get(name) < history.length || history.length === 1)
  return shared.sort((a, b) => far(a) - far(b))
}

/** A feature's value in words; a dash where it is unknown. */
export const valueOf = (item, feature) => item.features[feature] ?? '–'

/** The item's features in one line, those that only repeat its id or name left out. */
export const featuresOf = (item) => told(item).map(([, value]) => value).join(' · ')

/** The item's features that say more than its id and name do, as pairs of name and value. */
export const told = (item) => Object.entries(item.features).filter(([, value]) => value !== item.id && value !== item.name)
