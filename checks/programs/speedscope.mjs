// Has speedscope, in a browser, import folded stacks and save them as its own JSON.
//
//     node speedscope.mjs CHROMIUM NODE_MODULES <FILES >PROFILES
//
// Each line of the input is a path; each line of the output is what speedscope saves of it, or {"error": TEXT}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [executablePath, modules] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, 'x.js'))('playwright-core');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--allow-file-access-from-files'] });

async function saved(path) {
  const page = await browser.newPage();
  try {
    await page.goto(pathToFileURL(join(modules, 'speedscope/dist/release/index.html')).href);
    await page.locator('input[type=file]').first().setInputFiles({ name: 'stacks.folded', mimeType: 'text/plain', buffer: readFileSync(path) });
    await page.locator('canvas').first().waitFor({ timeout: 60000 });
    await page.waitForTimeout(300);
    const download = page.waitForEvent('download', { timeout: 60000 });
    await page.keyboard.press('Control+s');
    return readFileSync(await (await download).path(), 'utf8');
  } finally {
    await page.close();
  }
}

for await (const path of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = JSON.stringify(JSON.parse(await saved(path)));
  } catch (error) {
    reply = JSON.stringify({ error: String(error.stack ?? error) });
  }
  process.stdout.write(reply + '\n');
}
await browser.close();
process.exit(0);
