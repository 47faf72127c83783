// Bundles everything into dist/: `npm run build`.
import { build } from 'esbuild';
import { cp, mkdir, rm } from 'node:fs/promises';

const RUNTIME = 'node_modules/onnxruntime-web/dist';
const KINDS = [
  ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded'],
  ['ort.jspi.min.mjs', 'ort-wasm-simd-threaded.jspi'], // with WebGPU; loaded where there is a GPU
];
const FILES = KINDS.flatMap(([script, core]) => [script, `${core}.mjs`, `${core}.wasm`]);

await rm('dist', { recursive: true, force: true });
const common = { outdir: 'dist', bundle: true, format: 'esm', target: 'es2022', minify: true };
await build({
  ...common,
  entryPoints: ['src/index.ts', 'src/client.ts', 'src/element.ts', 'src/viewer.ts'],
  splitting: true,
});
await build({ ...common, entryPoints: ['src/worker.ts'], external: ['./ort/*'] });
await build({ ...common, entryPoints: ['src/service_worker.ts'], format: 'iife' });
await mkdir('dist/ort');
for (const file of FILES) await cp(`${RUNTIME}/${file}`, `dist/ort/${file}`);
await cp('src/viewer.html', 'dist/index.html');
await cp('src/viewer.css', 'dist/viewer.css');
await cp('README.md', 'dist/README.md');
