import { axisStyle, drawChart, tooltip } from '../chart.js'
import { DASHES } from '../colours.js'
import { h } from '../dom.js'
import { fixed, percent } from '../numbers.js'
import { nameOf } from './items.js'
import { later } from './later.js'

const BESIDE = 3
const POINTS = 240
const LINE = 15

/**
 * Draw how the state evolves along the history, in two dimensions, for several candidates: the paper's Figure 3.
 *
 * The chosen candidate's path is bold; three others stand beside it, or all of them.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state which candidate and behaviour
 * @returns {{element: HTMLElement, start: () => void, dispose: () => void} | null} null where no model has states
 */
export function paths({ candidates, variance, history }, state) {
  // A path has a point after each behaviour that is read as a sequence: `steps` are their places in the history.
  const steps = candidates.map(({ path }) => path.flatMap((point, k) => (point ? [k] : [])))
  const routes = candidates.map(({ path }, c) => steps[c].map((k) => path[k]))
  const having = candidates.map((_, k) => k).filter((k) => routes[k].length)
  if (!having.length) return null
  const place = h('div', { class: 'place' })
  const pointer = h('div', { class: 'pointer', hidden: true })
  const every = h('input', { type: 'checkbox', checked: state.every, onchange: () => state.set({ every: every.checked }) })
  const more = having.length > BESIDE + 1
  const element = h('section', {},
    h('h2', {}, 'Path of the evolving state'),
    h('p', {},
      `The state after each behaviour, in the two directions that hold most of its variance (${percent(variance[0])}`
      + ` and ${percent(variance[1])}). A ring is where a path begins, a dot where it ends.`),
    more ? h('label', { class: 'check' }, every, ' all candidates') : null,
    h('div', { class: 'square' }, place, pointer),
  )
  const ends = endsOf(routes)
  let drawn

  /** A path of at most so many points, with its first and last. */
  const thinned = (path) => {
    const stride = Math.ceil(path.length / POINTS)
    return stride === 1 ? path : path.filter((_, k) => k % stride === 0 || k === path.length - 1)
  }

  /** Mark the state after the behaviour that is shown. */
  const show = () => {
    const point = candidates[state.candidate].path[state.shown]
    pointer.hidden = !point
    if (!point) return
    const [x, y] = drawn.chart.convertToPixel('grid', point)
    Object.assign(pointer.style, { left: `${x - 6}px`, top: `${y - 6}px` })
  }

  const option = (colours, width) => {
    const others = having.filter((k) => k !== state.candidate)
    const kept = state.every ? others : others.slice(0, BESIDE)
    const chosen = having.includes(state.candidate) ? [state.candidate] : []
    const [xRange, yRange] = ranges(ends, width - 60, place.clientHeight - 60)
    const unit = (place.clientHeight - 36) / (yRange.max - yRange.min)
    const offsets = apart([...kept, ...chosen].map((k) => (routes[k].at(-1)[1] - yRange.min) * unit))
    const axis = { ...axisStyle(colours), type: 'value', splitNumber: 4, axisLabel: { show: false } }
    const series = [...kept, ...chosen].flatMap((k, order) => {
      const own = k === state.candidate
      const [path, { item }] = [routes[k], candidates[k]]
      const color = own ? colours.accent : colours.dim
      const named = own || !state.every
      const name = nameOf(item)
      return [
        {
          type: 'line', id: `path ${k}`, name, data: own ? path : thinned(path), showSymbol: own && path.length <= 60, symbol: 'circle',
          symbolSize: 4, z: own ? 4 : 2, itemStyle: { color },
          lineStyle: { color, width: own ? 2 : 1, opacity: own ? 1 : 0.65, type: own ? 'solid' : DASHES[1 + (order % 4)] },
        },
        {
          type: 'scatter', name, z: own ? 5 : 3, silent: !own,
          data: [
            { value: path[0], symbolSize: 8, itemStyle: { color: colours.page, borderColor: color, borderWidth: 1.5 } },
            {
              value: path.at(-1), symbolSize: 8, itemStyle: { color },
              label: {
                show: named, formatter: () => name, color: own ? colours.text : colours.dim, fontSize: 11,
                fontWeight: own ? 600 : 400, textBorderColor: colours.page, textBorderWidth: 3, width: 150, overflow: 'truncate',
                offset: [0, offsets[order]], position: path.at(-1)[0] > (xRange.min + xRange.max) / 2 ? 'left' : 'right',
              },
            },
          ],
        },
      ]
    })
    return {
      grid: { left: 24, right: 12, top: 10, bottom: 26, outerBoundsMode: 'none' },
      xAxis: { ...axis, ...xRange, name: `axis 1, ${percent(variance[0])}`, nameLocation: 'middle', nameGap: 10 },
      yAxis: { ...axis, ...yRange, name: `axis 2, ${percent(variance[1])}`, nameLocation: 'middle', nameGap: 8 },
      tooltip: tooltip(colours, ({ seriesId, seriesName, data, dataIndex }) => {
        const own = seriesId === `path ${state.candidate}`
        const [x, y] = data.value ?? data
        const k = own ? steps[state.candidate][dataIndex] : null
        return [seriesName, ...(k == null ? [] : [`after ${k + 1}: ${nameOf(history[k].item)}`]), `${fixed(x)}, ${fixed(y)}`]
      }),
      series,
    }
  }

  const start = () => {
    drawn = drawChart(place, option, 'Paths of the evolving state in two dimensions; the table below has the numbers')
    state.on(['candidate'], later(() => (drawn.draw(), show()), 80))
    state.on(['every'], drawn.draw)
    state.on(['chosen', 'pointed'], show)
    drawn.chart.on('finished', show)
    drawn.chart.on('click', ({ seriesId, dataIndex }) => {
      if (seriesId === `path ${state.candidate}`) state.set({ chosen: steps[state.candidate][dataIndex], marked: [] })
    })
  }
  return { element, start, dispose: () => drawn?.dispose() }
}

/**
 * How far to move the label of each end, so that none lies on another or below the chart.
 *
 * @param {number[]} heights of the ends, from the bottom, in pixels
 * @returns {number[]} pixels downwards
 */
function apart(heights) {
  const offsets = []
  const fromTop = heights.map((_, k) => k).sort((a, b) => heights[b] - heights[a])
  let free = Infinity // the height above which the last label lies
  for (const k of fromTop) {
    offsets[k] = Math.max(0, heights[k] - free)
    free = heights[k] - offsets[k] - LINE
  }
  free = LINE / 2
  for (const k of fromTop.reverse()) {
    offsets[k] = Math.min(offsets[k], heights[k] - free)
    free = heights[k] - offsets[k] + LINE
  }
  return offsets
}

/** The least and the greatest value of all paths in each dimension. */
function endsOf(paths) {
  const ends = [[Infinity, -Infinity], [Infinity, -Infinity]]
  for (const path of paths) {
    for (const point of path) {
      for (const axis of [0, 1]) {
        ends[axis][0] = Math.min(ends[axis][0], point[axis])
        ends[axis][1] = Math.max(ends[axis][1], point[axis])
      }
    }
  }
  return ends
}

/** Ranges of both axes in which a step is as long across as up, with everything between the ends in them. */
function ranges(ends, width, height) {
  const unit = (1.12 * Math.max((ends[0][1] - ends[0][0]) / width, (ends[1][1] - ends[1][0]) / height)) || 1e-6
  return ends.map(([low, high], axis) => {
    const half = (unit * (axis ? height : width)) / 2
    return { min: (low + high) / 2 - half, max: (low + high) / 2 + half }
  })
}
