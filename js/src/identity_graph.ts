/** The smallest graph. A session of it makes ONNX Runtime load and compile its WebAssembly, while weights come. */

import type { InferenceSession } from 'onnxruntime-common';
import { joined } from './bytes.js';
import type { Runtime } from './model.js';
import { field, numberField } from './protobuf.js';

const text = (number: number, value: string): Uint8Array => field(number, new TextEncoder().encode(value));
const message = (number: number, ...fields: Uint8Array[]): Uint8Array => field(number, joined(fields));

/** Return a graph that gives one float of what it takes. The numbers are those of fields in onnx.proto. */
function identityGraph(): Uint8Array {
  const type = message(2, message(1, numberField(1, 1), message(2, message(1, numberField(1, 1))))); // float32 [1]
  const node = message(1, text(1, 'in'), text(2, 'out'), text(4, 'Identity'));
  const graph = message(
    7,
    node,
    text(2, 'identity'),
    message(11, text(1, 'in'), type),
    message(12, text(1, 'out'), type),
  );
  return joined([numberField(1, 8), graph, message(8, numberField(2, 17))]);
}

/** Begin to load the runtime. What goes wrong shows when it is needed. */
export async function begin(runtime: Runtime, options?: InferenceSession.SessionOptions): Promise<void> {
  try {
    await runtime.InferenceSession.create(identityGraph(), options); // it takes next to no memory, and stays
  } catch {
    // The session that is needed says it.
  }
}
