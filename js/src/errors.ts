/** What goes wrong with files and weights; the names are those of the Python package. */

/** The base of all errors that this package throws on purpose. */
export class TacitError extends Error {
  override name = 'TacitError';
}

/** The file is damaged, or no encoder can have written it. */
export class CorruptFile extends TacitError {
  override name = 'CorruptFile';
}

/** It is no `.tacit` file, or one of a version or kind that this decoder does not know. */
export class UnsupportedFile extends TacitError {
  override name = 'UnsupportedFile';
}

/** The weights that the file names have not been given. */
export class MissingWeights extends TacitError {
  override name = 'MissingWeights';
}

/** The weights file is damaged, or is not what it says. */
export class CorruptWeights extends TacitError {
  override name = 'CorruptWeights';
}

/** The image has more pixels than the limit. */
export class ImageTooLarge extends TacitError {
  override name = 'ImageTooLarge';
}
