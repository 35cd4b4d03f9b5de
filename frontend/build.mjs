// Builds every file of src/entries, and style.css, into the package's folder of static files, beside the licences
// of what is bundled and the hashes of sources and results, by which a test knows that they belong together.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const out = join(here, '../src/dien/reports/static')

/** All files under a folder, by name. */
const filesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** Pages carry a script within themselves: it must not hold what ends one or opens a comment. */
const inlinable = (text) => text.replaceAll('</script', '<\\/script').replaceAll('<!--', '\\x3c!--')

/** The licence texts of the packages whose files were bundled. */
function licences(metafile) {
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []),
  )
  return [...packages].sort().map((name) => {
    const folder = join(here, 'node_modules', name)
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const texts = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => /^(licen[cs]es?|notice|copyright)/i.test(entry.name))
      .flatMap((entry) => (entry.isFile() ? [join(folder, entry.name)] : filesOf(join(folder, entry.name)).sort()))
      .map((file) => readFileSync(file, 'utf8').trim())
    if (!texts.length) throw new Error(`${name} has no licence text`)
    return `${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`
  })
}

const entries = filesOf(join(here, 'src/entries')).concat(join(here, 'src/style.css'))
const built = await build({
  absWorkingDir: here,
  entryPoints: entries,
  entryNames: '[name]',
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  metafile: true,
  write: false,
})

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
const texts = licences(built.metafile).join(`\n${'-'.repeat(80)}\n\n`)
writeFileSync(join(out, 'LICENCES.txt'), texts)
for (const file of built.outputFiles) {
  // A page is given away with the script in it: the licences go along.
  const notice = file.path.endsWith('.js') ? `/*\n${texts.replaceAll('*/', '* /')}*/\n` : ''
  writeFileSync(file.path, inlinable(notice + file.text))
}

const sources = [...filesOf(join(here, 'src')), ...['build.mjs', 'package.json', 'package-lock.json'].map((f) => join(here, f))]
const results = filesOf(out)
const root = join(here, '..')
const sums = [...sources, ...results]
  .map((path) => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${relative(root, path)}\n`)
  .sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1))
writeFileSync(join(out, 'SHA256SUMS'), sums.join(''))
for (const path of results) console.log(relative(root, path), readFileSync(path).length)
