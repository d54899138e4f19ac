// Photos stay in this tab. They go to the server for a preview and with an order, and its pictures are fetched once: it
// keeps none.
window.page = (() => {
  const files = { photo: null, reference: null };
  const never = new Promise(() => {});  // what gradio waits for when there is no order after all
  let turn = 0;         // counts orders and what calls them off: an answer to an earlier one is not shown
  let answered = 0;
  let shownWindow = null;
  let waiting = [];     // tickets that the server still holds
  let urls = [];

  const drop = (role) => document.querySelector(`.drop[data-role="${role}"]`);
  const url = (blob) => { const made = URL.createObjectURL(blob); urls.push(made); return made; };
  function release() {
    urls.forEach((made) => URL.revokeObjectURL(made));
    urls = [];
  }

  const isWorking = () => document.body.classList.contains("working");

  // The sentence under the buttons.
  function say(text, good = false) {
    const line = document.querySelector("#status p");
    line.textContent = text;
    line.className = good ? "good" : "bad";
  }

  // Its photos are taken back, so the server will not work on it when its place in the queue comes.
  function cancel() {
    if (!isWorking()) return;
    turn += 1;
    forget(waiting);
    waiting = [];
    document.body.classList.remove("working");
    say("");
  }

  function reset() {
    cancel();
    document.body.classList.remove("has-result", "has-hole");
    release();
    shownWindow = null;
    window.brush.clear();
    document.getElementById("download").removeAttribute("href");
    say("");
  }

  function clear(role, note = "") {
    const zone = drop(role), image = zone.querySelector("img");
    if (image.src) URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
    image.alt = "";
    image.hidden = true;
    zone.querySelector("input").value = "";
    zone.classList.remove("filled", "busy");
    zone.querySelector(".note").textContent = note;
    files[role] = null;
    if (role === "photo") reset(); else cancel();
  }

  async function pick(role, file) {
    clear(role);
    const zone = drop(role), most = Number(zone.dataset.mostMb);
    if (file.size > most * 1e6) {
      return clear(role, `${file.name} has ${Math.round(file.size / 1e6)} MB; at most ${most} MB are taken. Shrink it first.`);
    }
    files[role] = file;
    zone.classList.add("busy");
    const name = encodeURIComponent(file.name);
    const reply = await fetch(`preview?name=${name}`, { method: "POST", body: file }).catch(() => null);
    const got = reply && await (reply.ok ? reply.blob() : reply.text());
    if (files[role] !== file) return; // another one was chosen meanwhile
    if (!reply?.ok) return clear(role, got || "The server does not answer.");
    const image = zone.querySelector("img");
    image.src = URL.createObjectURL(got);
    image.alt = `Chosen: ${file.name}`;
    image.hidden = false;
    zone.classList.remove("busy");
    zone.classList.add("filled");
  }

  async function put(blob) {
    const reply = await fetch("put", { method: "POST", body: blob }).catch(() => null);
    if (!reply) throw new Error("The server does not answer.");
    const text = await reply.text();
    if (!reply.ok) throw new Error(text);
    return text;
  }

  const look = (where) => document.getElementById("status").scrollIntoView({ behavior: "smooth", block: where });

  async function order(withHole) {
    if (isWorking()) return never; // the second click of a double one
    const asked = turn += 1;
    document.body.classList.add("working");
    if (!withHole) document.body.classList.remove("has-result", "has-hole"); // what may come is another result, or none
    say("");
    look("nearest");
    if (!files.photo) return { turn: asked, problem: "Choose a photo first." };
    try {
      const hole = withHole ? await window.brush.picture() : null;
      if (withHole && !hole) return { turn: asked, problem: "The hole is empty: paint over what is to be filled." };
      const made = { turn: asked, window: withHole ? shownWindow : null };
      for (const [name, blob] of Object.entries({ photo: files.photo, reference: files.reference, hole })) {
        if (!blob) continue;
        made[name] = await put(blob);
        if (asked !== turn) { // called off meanwhile
          forget([made[name]]);
          return never;
        }
        waiting.push(made[name]);
      }
      return made;
    } catch (error) {
      if (asked !== turn) return never;
      forget(waiting); // what was sent before it went wrong
      waiting = [];
      return { turn: asked, problem: error.message };
    }
  }

  async function take(ticket) {
    const reply = await fetch(`take/${ticket}`);
    if (!reply.ok) throw new Error(await reply.text());
    waiting = waiting.filter((other) => other !== ticket);
    return reply.blob();
  }

  function forget(tickets) {
    if (tickets.length) navigator.sendBeacon("forget", JSON.stringify(tickets));
  }

  const ticketsOf = (reply) => [
    reply.result, reply.canvas, reply.hole,
    ...(reply.views || []).flatMap((view) => [view.before, view.after, view.origin]),
  ].filter(Boolean);

  // Called with every answer; data-answers counts those that are on the page with all their pictures.
  async function show(reply) {
    if (!reply || reply.turn === answered) return;
    if (reply.turn !== turn) return forget(ticketsOf(reply));
    answered = turn;
    waiting = ticketsOf(reply); // the server took what was sent
    let text = reply.message, good = Boolean(reply.result);
    try {
      const blobs = {};
      for (const ticket of waiting) blobs[ticket] = await take(ticket);
      if (reply.turn !== turn) return;
      await showPictures(reply, blobs);
    } catch {
      if (reply.turn !== turn) return;
      forget(waiting);
      waiting = [];
      text = "The pictures of the answer did not arrive. Press the button again.";
      good = false;
    }
    document.body.classList.remove("working");
    say(text, good);
    look(good ? "start" : "nearest");
    document.body.dataset.answers = Number(document.body.dataset.answers || 0) + 1;
  }

  // There is no answer, for example because too many wait.
  function fail() {
    if (!isWorking()) return;
    cancel();
    say("The server takes no more orders at the moment. Try again in a minute.");
    document.body.dataset.answers = Number(document.body.dataset.answers || 0) + 1;
  }

  async function showPictures(reply, blobs) {
    if (reply.canvas) {
      shownWindow = reply.window;
      await window.brush.load(blobs[reply.canvas], blobs[reply.hole]);
      document.body.classList.add("has-hole");
    }
    if (!reply.result) return;
    release(); // what an earlier result showed
    const link = document.getElementById("download");
    link.href = url(blobs[reply.result]);
    link.download = files.photo.name.replace(/\.[^.]*$/, "") + "-unmasked.png";
    offer(reply.views.map((view) => ({
      name: view.name, before: url(blobs[view.before]), after: url(blobs[view.after]), origin: url(blobs[view.origin]),
    })));
    document.body.classList.add("has-result");
  }

  function offer(views) {
    const choose = (view) => {
      for (const part of ["before", "after", "origin"]) document.querySelector(`#result img.${part}`).src = view[part];
    };
    document.querySelector("#result img.after").onload = ({ target }) => {
      document.querySelector(".pair").style.setProperty("--ratio", target.naturalWidth / target.naturalHeight);
    };
    document.querySelector("#result .switch").replaceChildren(...(views.length > 1 ? views : []).map((view, i) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "view", checked: i === 0, onchange: () => choose(view) });
      label.append(input, view.name);
      return label;
    }));
    choose(views[0]);
  }

  document.addEventListener("change", (event) => {
    const zone = event.target.closest(".drop");
    if (zone && event.target.files?.length) pick(zone.dataset.role, event.target.files[0]);
  });
  document.addEventListener("input", (event) => {
    const compare = event.target.closest(".compare");
    if (compare) compare.style.setProperty("--at", `${event.target.value}%`);
  });
  document.addEventListener("click", (event) => {
    // Either button goes with this: the keyboard's focus moves to what comes next.
    if (event.target.classList.contains("clear")) {
      const zone = event.target.closest(".drop");
      clear(zone.dataset.role);
      zone.querySelector("input").focus();
    }
    if (event.target.id === "cancel") {
      cancel();
      document.getElementById("take-off").focus();
    }
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // a photo dropped beside the box must not replace the page
      const zone = event.target.closest?.(".drop");
      if (kind === "dragover") event.dataTransfer.dropEffect = zone ? "copy" : "none";
      document.querySelectorAll(".drop").forEach((box) => box.classList.toggle("over", kind === "dragover" && box === zone));
      if (kind === "drop" && zone && event.dataTransfer.files.length) pick(zone.dataset.role, event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) pick(document.activeElement.closest(".drop")?.dataset.role || "photo", file);
  });
  window.addEventListener("pagehide", () => forget(waiting));

  return { order, show, fail };
})();
