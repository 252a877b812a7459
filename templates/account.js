// A page that the browser has kept for the way back may be of somebody who has signed out since.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
