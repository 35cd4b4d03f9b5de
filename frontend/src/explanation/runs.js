import { axisStyle, drawChart, tooltip } from '../chart.js'
import { h } from '../dom.js'
import { count, signed } from '../numbers.js'
import { later } from './later.js'

/**
 * Draw the influence of runs of behaviours, as the last day's: what the logit would lose without all of them.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state which candidate
 * @returns {{element: HTMLElement, start: () => void, dispose: () => void} | null} null where there are no runs
 */
export function runs({ candidates }, state) {
  const most = Math.max(...candidates.map(({ runs: of }) => of.length))
  if (!most) return null
  const place = h('div')
  place.style.height = `${most * 24 + 30}px`
  const element = h('section', {},
    h('h2', {}, 'Runs of behaviours'),
    h('p', {}, 'What the logit would lose without all of them at once: right of the line they speak for the candidate.'),
    place,
  )
  let ends = [0, 0]
  for (const { runs: of } of candidates) {
    for (const { influence } of of) ends = [Math.min(ends[0], influence), Math.max(ends[1], influence)]
  }
  const option = (colours, width) => {
    const shown = candidates[state.candidate].runs
    const left = Math.min(190, width * 0.42)
    return {
      grid: { left, right: 12, top: 2, bottom: 22, outerBoundsMode: 'none' },
      xAxis: { type: 'value', ...room(ends, (width - left - 12) / 64), ...axisStyle(colours), axisLine: { show: false }, axisLabel: { show: false }, splitLine: { show: false } },
      yAxis: {
        type: 'category', inverse: true, data: shown.map(({ name, first, last }) => `${name} (${last - first + 1})`),
        ...axisStyle(colours), axisLabel: { color: colours.text, width: left - 10, overflow: 'truncate', interval: 0 },
        axisLine: { show: true, onZero: true, lineStyle: { color: colours.dim } },
      },
      tooltip: tooltip(colours, ({ dataIndex: k }) => [
        shown[k].name, `${count(shown[k].last - shown[k].first + 1, 'behaviour')}: ${shown[k].first + 1} to ${shown[k].last + 1}`,
        `influence ${signed(shown[k].influence)}`,
      ]),
      series: [{
        type: 'bar', barWidth: 12, cursor: 'pointer',
        data: shown.map(({ influence }) => ({
          value: influence, itemStyle: { color: influence < 0 ? colours.dim : colours.accent },
          label: { show: true, position: influence < 0 ? 'left' : 'right', formatter: () => signed(influence), color: colours.text, fontSize: 11 },
        })),
      }],
    }
  }
  let drawn
  const start = () => {
    drawn = drawChart(place, option, 'Influence of runs of behaviours; the table below has the numbers')
    state.on(['candidate'], later(drawn.draw, 40))
    drawn.chart.on('click', ({ dataIndex }) => {
      const { first, last } = candidates[state.candidate].runs[dataIndex]
      state.set({ marked: Array.from({ length: last - first + 1 }, (_, k) => first + k) })
    })
  }
  return { element, start, dispose: () => drawn?.dispose() }
}

/** Ends of the scale, with room for a figure beside the longest bar each way, where so many figures are as wide as it. */
function room([low, high], figures) {
  const more = (high - low || 1) / Math.max(1, figures - 2)
  return { min: low < 0 ? low - more : 0, max: high > 0 ? high + more : 0 }
}
