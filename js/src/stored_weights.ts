/** Weights by their identifiers, from a folder on the web, kept in the browser's cache. */

import { MissingWeights } from './errors.js';

const CACHE = 'tacit-weights';

/**
 * Return what fetches weights. Their hash is verified whenever they are loaded; what the cache holds is as little to be
 * trusted as the network.
 *
 * @param folder - The address of the folder that has `ID.safetensors`, with a slash at the end.
 */
export function storedWeights(folder: string): (id: string) => Promise<Uint8Array> {
  return async (id) => {
    const address = `${folder}${id}.safetensors`;
    const cache = typeof caches === 'undefined' ? undefined : await caches.open(CACHE).catch(() => undefined);
    let response = await cache?.match(address);
    if (!response) {
      try {
        // The browser's other cache needs no second copy, and a damaged one there would come again.
        response = await fetch(address, cache ? { cache: 'no-store' } : {});
      } catch (error) {
        throw new MissingWeights(`the weights ${id} cannot be loaded from ${address}: ${(error as Error).message}`);
      }
      if (!response.ok) {
        throw new MissingWeights(`the weights ${id} cannot be loaded from ${address}: ${response.status}`);
      }
      await cache?.put(address, response.clone()).catch(() => undefined); // there may be no room
    }
    return new Uint8Array(await response.arrayBuffer());
  };
}

/** Remove weights from the browser's cache, such as damaged ones. */
export async function forgetWeights(folder: string, id: string): Promise<void> {
  if (typeof caches !== 'undefined') await (await caches.open(CACHE)).delete(`${folder}${id}.safetensors`);
}
