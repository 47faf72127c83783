// Elements of the page.

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** A button that looks like a link. */
export function linkButton(text, work) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link";
  button.textContent = text;
  button.addEventListener("click", work);
  return button;
}
