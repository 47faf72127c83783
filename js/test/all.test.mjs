// All tests in one process, so that the sessions of ONNX Runtime, which take seconds, are made once.
import './parse.test.mjs';
import './golden.test.mjs';
import './gpu.test.mjs';
import './browser.test.mjs';
