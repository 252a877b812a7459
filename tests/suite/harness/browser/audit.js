// What is wrong with the page as it is shown now, as lines of text. The body of a function.

const complaints = [];
const complain = (criterion, element, what) => {
  const text = (element.innerText || element.value || '').trim().replace(/\s+/g, ' ').slice(0, 40);
  const id = element.id ? `#${element.id}` : '';
  const kind = [...element.classList].map((name) => `.${name}`).join('');
  complaints.push(`${criterion}: ${element.localName}${id}${kind} "${text}" ${what}`);
};
const isShown = (element) =>
  element.checkVisibility({ visibilityProperty: true }) && !element.closest('.visually-hidden, .skip');
const shown = (selector) => [...document.querySelectorAll(selector)].filter(isShown);

// 2.4.2 Page Titled, 3.1.1 Language of Page, 1.3.1 Info and Relationships
if (!document.title || !document.documentElement.lang) complaints.push('no title or no language');
if (document.querySelectorAll('h1').length !== 1) complaints.push('not exactly one h1');

// 1.4.10 Reflow
if (document.documentElement.scrollWidth > innerWidth) {
  complaints.push(`scrolls sideways: ${document.documentElement.scrollWidth} > ${innerWidth}`);
}
for (const element of shown('body *')) {
  const box = element.getBoundingClientRect();
  if (box.left < -0.5 || box.right > innerWidth + 0.5) complain('1.4.10', element, 'is cut off');
  const spills = element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
  if (spills && getComputedStyle(element).overflowX === 'visible') {
    complain('1.4.10', element, `holds ${element.scrollWidth} in ${element.clientWidth}`);
  }
}

// 4.1.2 Name, Role, Value
for (const field of document.querySelectorAll('input:not([type=hidden]), textarea, select')) {
  if (!field.labels.length && !field.ariaLabel) complain('4.1.2', field, 'has no label');
}
for (const control of document.querySelectorAll('a, button, summary')) {
  if (!control.textContent.trim() && !control.ariaLabel) complain('4.1.2', control, 'has no name');
}
for (const image of document.querySelectorAll('img')) {
  if (!image.hasAttribute('alt')) complain('1.1.1', image, 'has no alternative');
  if (!image.complete || !image.naturalWidth) complain('1.1.1', image, 'is not there');
}

// 2.5.8 Target Size; a link within a sentence is as high as the sentence.
for (const control of shown('a, button, summary, input:not([type=hidden]), textarea')) {
  const { width, height } = control.getBoundingClientRect();
  if (width < 24 || height < 24) complain('2.5.8', control, `is ${width} × ${height}`);
}

// 1.4.3 Contrast
const parse = (color) => {
  const numbers = color.match(/[\d.]+/g)?.map(Number) ?? [];
  if (!color.startsWith('rgb')) complaints.push(`a colour that this cannot read: ${color}`);
  return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
};
const over = (top, below) => {
  const alpha = top[3];
  return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha)).concat(1);
};
const background = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1]);
};
const luminance = (color) => {
  const [r, g, b] = color.slice(0, 3).map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !isShown(element)) continue;
  const style = getComputedStyle(element);
  const behind = background(element);
  const [a, b] = [luminance(over(parse(style.color), behind)), luminance(behind)];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (contrast < (isLarge ? 3 : 4.5)) complain('1.4.3', element, `has ${contrast.toFixed(2)}`);
}

return complaints;
