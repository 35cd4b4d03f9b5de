import { axisStyle, drawChart, tooltip } from '../chart.js'
import { significant } from '../numbers.js'

const ROW = 26
const GAP = 44

/**
 * Draw what the log says above what models learnt: panels of cells on one x axis, darker where more.
 *
 * @param {HTMLElement} place where; its height is set
 * @param {{title: string, across: string, columns: string[], rows: string[],
 *   panels: {name: string, values: (number|null)[][], counts?: number[][]}[]}} data `across` says what the columns
 *   are, as `behaviours back`; a panel has `values[row][column]`, null where nothing is known, and how many rows of the
 *   log each is the mean of. Each panel has a scale of its own, from its least value to its greatest.
 * @returns {{dispose: () => void}}
 */
export function wholeRun(place, { title, across, columns, rows, panels }) {
  const tall = rows.length * ROW
  place.style.height = `${panels.length * (tall + GAP) + 50}px`
  const top = (k) => 30 + k * (tall + GAP)
  const option = (colours, width) => {
    const left = Math.min(120, width * 0.28)
    const axis = axisStyle(colours)
    const extremes = panels.map(({ values }) => {
      const known = values.flat().filter((value) => value != null)
      return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1]
    })
    return {
      title: panels.map(({ name }, k) => ({
        text: name, left: 0, top: top(k) - 22, padding: 0,
        textStyle: { color: colours.text, fontSize: 12, fontWeight: 600, width: width - 175, overflow: 'truncate' },
      })),
      grid: panels.map((_, k) => ({ left, right: 4, top: top(k), height: tall, outerBoundsMode: 'none' })),
      xAxis: panels.map((_, k) => ({
        type: 'category', gridIndex: k, data: columns, ...axis,
        axisLine: { show: false }, axisLabel: { ...axis.axisLabel, show: k === panels.length - 1 },
        ...(k === panels.length - 1 && { name: across, nameLocation: 'middle', nameGap: 26 }),
      })),
      yAxis: panels.map((_, k) => ({
        type: 'category', gridIndex: k, data: rows, inverse: true, ...axis, axisLine: { show: false },
        axisLabel: { color: colours.dim, fontSize: 11, width: left - 8, overflow: 'truncate' },
      })),
      visualMap: extremes.map(([min, max], k) => ({
        type: 'continuous', seriesIndex: k, min, max: max > min ? max : min + 1e-12, calculable: false,
        inRange: { color: [colours.soft, colours.accent] }, orient: 'horizontal', right: 4, top: top(k) - 25,
        itemWidth: 8, itemHeight: 56, text: [significant(max), significant(min)], textGap: 6, padding: 0,
        textStyle: { color: colours.dim, fontSize: 11 },
      })),
      tooltip: tooltip(colours, ({ seriesIndex, data: { value: [column, row] } }) => {
        const { name, values, counts } = panels[seriesIndex]
        return [
          `${name}: ${significant(values[row][column])}`,
          `${rows[row]}, ${across}: ${columns[column]}`,
          ...(counts ? [`of ${counts[row][column].toLocaleString('en')} rows`] : []),
        ]
      }),
      series: panels.map(({ values }, k) => ({
        type: 'heatmap', xAxisIndex: k, yAxisIndex: k, itemStyle: { borderColor: colours.page, borderWidth: 1 },
        data: values.flatMap((of, row) =>
          of.flatMap((value, column) => (value == null ? [] : [{ value: [column, row, value] }])),
        ),
        emphasis: { itemStyle: { borderColor: colours.text } },
      })),
    }
  }
  return drawChart(place, option, title)
}
