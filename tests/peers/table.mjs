// Prints what each server did as a table, from the reports of `carillon bench fanout --json` and of socketio/load.mjs:
//
//   node table.mjs NAME=REPORT.json...
//
// The bare writer that ran beside a hub has a row of its own, so that each ratio stands beside what it is to.
import { readFileSync } from 'node:fs'

const whole = (number) => Math.round(number).toLocaleString('en')

function row(name, figures, ratio) {
  const { lost, duplicated, out_of_order: swapped } = figures
  return [
    name,
    figures.server_cpu_us_per_delivery.toFixed(2),
    ratio ? ratio.toFixed(2) : '',
    whole(figures.deliveries_per_server_cpu_s),
    figures.p99_ms ? figures.p99_ms.toFixed(1) : '',
    lost + duplicated + swapped === 0 ? 'none' : `${lost} lost, ${duplicated} twice, ${swapped} swapped`,
  ]
}

const rows = [
  ['server', 'µs of CPU a delivery', 'times the bare writer', 'deliveries per CPU s', 'p99, ms', 'faults'],
]
const notes = []
for (const argument of process.argv.slice(2)) {
  const [name, file] = argument.split('=')
  const report = JSON.parse(readFileSync(file, 'utf8'))
  rows.push(row(name, report, report.ratio_to_peer))
  for (const note of report.notes ?? []) notes.push(`${name}: ${note}`)
  if (report.peer) rows.push(row('  bare writer beside it', report.peer))
}
const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)))
for (const cells of rows) {
  console.log(cells.map((cell, column) => (column ? cell.padStart(widths[column]) : cell.padEnd(widths[0]))).join('  '))
}
for (const note of notes) console.log(`note: ${note}`)
