import { axisStyle, drawChart, tooltip } from '../chart.js'
import { percent } from '../numbers.js'

/**
 * Draw a distribution, a bar for each bin.
 *
 * @param {HTMLElement} place where
 * @param {{title: string, bins: string[], names: string[], counts: number[]}} data short labels of bins, their
 *   names in full, and how many each holds
 */
export function histogram(place, { title, bins, names, counts }) {
  const total = counts.reduce((sum, n) => sum + n, 0)
  const option = (colours) => ({
    grid: { left: 1, right: 1, top: 8, bottom: 22, outerBoundsMode: 'none' },
    xAxis: { type: 'category', data: bins, ...axisStyle(colours) },
    yAxis: { type: 'value', show: false },
    tooltip: tooltip(colours, ({ dataIndex: k }) => [
      `${names[k]}: ${counts[k].toLocaleString('en')} (${percent(counts[k] / total)})`,
    ]),
    series: [
      { type: 'bar', data: counts, barCategoryGap: '12%', barMinHeight: 1, itemStyle: { color: colours.accent } },
    ],
  })
  drawChart(place, option, title)
}
