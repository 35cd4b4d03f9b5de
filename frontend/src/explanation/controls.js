import { h } from '../dom.js'
import { groupings } from './items.js'
import { hasTimes } from './places.js'

/**
 * The choices above the timeline: by order or by time, by which feature lanes are, whose influence is shown, and its
 * scale.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state what they set
 * @returns {HTMLElement}
 */
export function controls({ history, candidates }, state) {
  const element = h('div', { class: 'controls' })
  if (hasTimes(history)) {
    element.append(choice('Along', [['order', false], ['time', true]], state.byTime, (byTime) => state.set({ byTime })))
  }
  const lanes = groupings(history)
  if (lanes.length > 1) {
    element.append(choice('Lanes by', lanes.map((name) => [name, name]), state.lanes, (name) => state.set({ lanes: name })))
  }
  const features = Object.keys(candidates[0].features)
  if (features.length > 1) {
    const whole = [['the whole behaviour', null], ...features.map((name) => [`its ${name}`, name])]
    element.append(choice('Influence of', whole, state.feature, (feature) => state.set({ feature })))
  }
  if (candidates.length > 1) {
    const scales = [['of this candidate', false], ['the same for all', true]]
    element.append(choice('Scales', scales, state.shared, (shared) => state.set({ shared })))
  }
  return element
}

function choice(label, options, chosen, onChoose) {
  const made = options.map(([name, value], k) => h('option', { value: k, selected: value === chosen }, name))
  const select = h('select', { onchange: () => onChoose(options[select.value][1]) }, ...made)
  return h('label', {}, `${label} `, select)
}
