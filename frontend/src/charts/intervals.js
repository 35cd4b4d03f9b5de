import { axisStyle, drawChart, tooltip } from '../chart.js'
import { fixed, mark } from '../numbers.js'

/**
 * Draw means under each other, each with its confidence interval.
 *
 * @param {HTMLElement} place where
 * @param {{title: string, zero: boolean, names: string[], means: number[], lows: (number|null)[],
 *   highs: (number|null)[]}} data what to draw; with `zero` the scale has 0
 */
export function intervals(place, { title, zero, names, means, lows, highs }) {
  place.style.height = `${names.length * 26 + 34}px`
  const known = means.map((_, k) => k).filter((k) => lows[k] != null && highs[k] != null)
  const option = (colours, width) => ({
    grid: { left: Math.min(180, width * 0.4), right: 20, top: 4, bottom: 26, outerBoundsMode: 'none' },
    xAxis: {
      type: 'value', scale: !zero, ...axisStyle(colours), axisLine: { show: false },
      axisLabel: { ...axisStyle(colours).axisLabel, formatter: mark },
    },
    yAxis: {
      type: 'category', data: names, inverse: true, ...axisStyle(colours), axisLine: { show: false },
      axisLabel: { color: colours.text, width: Math.min(165, width * 0.4 - 15), overflow: 'truncate' },
    },
    tooltip: tooltip(colours, ({ data }) => {
      const k = data.value[1]
      const whole = lows[k] == null ? '' : ` (${fixed(lows[k], 4)} to ${fixed(highs[k], 4)})`
      return [names[k], fixed(means[k], 4) + whole]
    }),
    series: [
      {
        type: 'custom', silent: true, data: known.map((k) => [lows[k], k, highs[k]]), encode: { x: [0, 2], y: 1 },
        renderItem: (_, api) => {
          const [[x1, y], [x2]] = [api.coord([api.value(0), api.value(1)]), api.coord([api.value(2), api.value(1)])]
          return { type: 'line', shape: { x1, y1: y, x2, y2: y }, style: { stroke: colours.accent, lineWidth: 2 } }
        },
      },
      {
        type: 'scatter', symbolSize: 8, itemStyle: { color: colours.accent },
        data: means.map((mean, k) => ({ value: [mean, k] })),
      },
    ],
  })
  drawChart(place, option, title)
}
