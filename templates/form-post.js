// Not `form.submit()`: a field or a button of that name would stand in its place.
HTMLFormElement.prototype.submit.call(document.forms[0]);
