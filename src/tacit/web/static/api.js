// Requests to the service. Every answer is JSON, a file, or JSON followed by files.

const TOKEN = "tacit-token";

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const ATTEMPTS = 20; // while the service is busy

let tokenDialog = null; // a promise, while the operator's token is being asked for

/** Wait for as long as a busy service asks for, or until `signal` is aborted. */
function waitForService(response, signal) {
  const seconds = Math.min(60, Math.max(0.2, Number(response.headers.get("retry-after")) || 1));
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, 1000 * seconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Ask for the operator's token, once for all requests that need it. */
function askForToken() {
  tokenDialog ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(TOKEN, new FormData(dialog.querySelector("form")).get("token"));
      tokenDialog = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return tokenDialog;
}

async function request(path, options) {
  for (let attempt = 1; ; attempt++) {
    const headers = new Headers(options.headers);
    const token = sessionStorage.getItem(TOKEN);
    if (token) headers.set("authorization", `Bearer ${token}`);
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, "The service cannot be reached.");
    }
    if (response.ok) return response;
    if (response.status === 401) {
      await askForToken();
      continue;
    }
    if (response.status === 429 && attempt < ATTEMPTS) {
      await waitForService(response, options.signal);
      continue;
    }
    throw new Problem(response.status, await detail(response));
  }
}

async function detail(response) {
  try {
    const problem = await response.json();
    return problem.detail ?? problem.title ?? response.statusText;
  } catch {
    return `The service answered ${response.status}.`;
  }
}

/** Get JSON. */
export async function get(path, signal) {
  return (await request(path, { signal })).json();
}

/** Get a file, as a Blob. */
export async function getBlob(path, signal) {
  return (await request(path, { signal })).blob();
}

/** Take JSON and files of one answer apart. The files stay where the browser has put them: slices of a Blob are not
 * read. */
async function parseParts(blob) {
  const length = new DataView(await blob.slice(0, 4).arrayBuffer()).getUint32(0);
  let at = 4 + length;
  const { files, ...fields } = JSON.parse(await blob.slice(4, at).text());
  for (const [name, size, type] of files) {
    fields[name] = blob.slice(at, at + size, type);
    at += size;
  }
  return fields;
}

/** Send `body`, a Blob or what becomes JSON. Returns JSON, JSON with files as Blobs, or a Blob, as the service
 * answers. */
export async function post(path, body, { signal, accept } = {}) {
  const headers = {};
  if (!(body instanceof Blob)) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(body ?? {});
  } else {
    headers["content-type"] = body.type || "application/octet-stream";
  }
  if (accept) headers.accept = accept;
  const response = await request(path, { method: "POST", body, headers, signal });
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) return response.json();
  const blob = await response.blob();
  return type === "application/x-tacit-parts" ? parseParts(blob) : blob;
}
