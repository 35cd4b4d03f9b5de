import { BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts'
import {
  AriaComponent,
  DataZoomInsideComponent,
  DataZoomSliderComponent,
  GridComponent,
  TitleComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from 'echarts/components'
import { init, use } from 'echarts/core'
import { LabelLayout } from 'echarts/features'
import { CanvasRenderer } from 'echarts/renderers'
import { coloursOf } from './colours.js'
import { h } from './dom.js'

use([
  BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart,
  AriaComponent, DataZoomInsideComponent, DataZoomSliderComponent, GridComponent, LabelLayout,
  TitleComponent, TooltipComponent, VisualMapContinuousComponent,
  CanvasRenderer,
])

/** The family of the page's letters. */
export const FONT = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

/**
 * Draw a chart that keeps to its place: it follows the place's width, light and dark, and is light in print.
 *
 * @param {HTMLElement} place where; style or `optionOf` gives it a height
 * @param {(colours: Object, width: number) => Object} optionOf gives ECharts' option
 * @param {string} description what a screen reader says of it
 * @returns {{chart: Object, draw: () => void, dispose: () => void}}
 */
export function drawChart(place, optionOf, description) {
  const { clientWidth, clientHeight } = place
  const chart = init(place, null, { renderer: 'canvas', width: clientWidth || 300, height: clientHeight || 300 })
  place.setAttribute('role', 'img')
  place.setAttribute('aria-label', description)
  const fits = () => chart.getWidth() === place.clientWidth && chart.getHeight() === place.clientHeight
  const draw = () => {
    const common = { animation: false, textStyle: { fontFamily: FONT, fontSize: 12 } }
    const option = { ...common, ...optionOf(coloursOf(place), place.clientWidth) }
    if (!fits()) chart.resize({ width: 'auto', height: 'auto' }) // the option may have set the height
    chart.setOption(option, { notMerge: true })
  }
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const sized = new ResizeObserver(() => fits() || draw())
  const onPrint = ({ type }) => {
    document.documentElement.toggleAttribute('data-print', type === 'beforeprint')
    draw()
  }
  dark.addEventListener('change', draw)
  addEventListener('beforeprint', onPrint)
  addEventListener('afterprint', onPrint)
  sized.observe(place)
  draw()
  const dispose = () => {
    sized.disconnect()
    dark.removeEventListener('change', draw)
    removeEventListener('beforeprint', onPrint)
    removeEventListener('afterprint', onPrint)
    chart.dispose()
  }
  return { chart, draw, dispose }
}

/** An axis in the page's style: dim letters, faint lines. */
export const axisStyle = (colours) => ({
  axisLine: { lineStyle: { color: colours.line } },
  axisTick: { show: false },
  axisLabel: { color: colours.dim, fontSize: 11, hideOverlap: true },
  splitLine: { lineStyle: { color: colours.line } },
  nameTextStyle: { color: colours.dim, fontSize: 11 },
})

/** A tooltip of plain text, a line for each of the strings that `linesOf` gives. */
export const tooltip = (colours, linesOf) => ({
  confine: true,
  backgroundColor: colours.page,
  borderColor: colours.line,
  padding: [6, 10],
  extraCssText: 'box-shadow: none; max-width: 20rem; white-space: normal; overflow-wrap: anywhere;',
  textStyle: { color: colours.text, fontSize: 12 },
  formatter: (params) => h('div', {}, ...linesOf(params).map((line) => h('div', {}, line))),
})
