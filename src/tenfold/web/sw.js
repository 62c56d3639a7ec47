// The page without a network: after the first visit everything comes from this browser's store.
// VERSION and FILES stand before this line in a bundle: what the files hold, and their names.

const MINE = `tenfold ${self.registration.scope} `; // other bundles on this host have stores of their own

const LATER = /\/(lab\/|js\/inside|js\/network\/more)/; // what is kept when it is first used

self.addEventListener("install", (event) => {
  event.waitUntil(store().then(() => self.skipWaiting()));
});

async function store() {
  const cache = await caches.open(MINE + VERSION);
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
}

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOlder().then(() => self.clients.claim()));
});

async function dropOlder() {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(MINE) && name !== MINE + VERSION);
  await Promise.all(older.map((name) => caches.delete(name)));
}

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(MINE + VERSION);
  const { href } = new URL(request.url.split(/[?#]/)[0]);
  const names = href.endsWith("/") ? [href, `${href}index.html`] : [href];
  if (request.mode === "navigate") names.push(self.registration.scope);
  for (const name of names) {
    const kept = await cache.match(name);
    if (kept) return kept;
  }
  const answered = await fetch(request);
  if (LATER.test(href) && answered.ok) await cache.put(href, answered.clone());
  return answered;
}
