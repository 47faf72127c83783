// What the page shows and what it knows.

import { $ } from "./dom.js";

export const state = {
  models: [], // that can encode, the default first
  viewer: false, // whether the service has a decoder for browsers
  image: null, // the photo that is open, as the service keeps it
  file: null, // the .tacit file that is open, instead of a photo
  encoding: null, // the last encoding of the photo
  others: new Map(), // other codecs' files of as many bytes, by codec
  maps: new Map(), // bit maps, by whether anything guides the encoder
  points: null, // of the curves, by codec
  drawingCurve: false,
  codec: "tacit", // of the selected tab
  bits: "off", // the selected map
  overlay: null, // that is drawn over the right image
  refusal: "", // why the last request is not shown
  opening: null, // identifies the last opening of a photo or file
  openedAt: 0, // when the photo was chosen
  rateKey: null, // identifies the encoding that `others` and `maps` belong to
  latency: undefined, // ms from the slider to the image
  steps: {}, // what the latency consists of, in ms
};

/** The model that is selected. */
export function model() {
  return state.models.find(({ name }) => name === $("model").value) ?? state.models[0];
}
