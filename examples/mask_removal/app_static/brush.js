// The hole as a layer over the photo: painted, erased, undone, and handed out as a picture, white on black.
window.brush = (() => {
  const MOST_STEPS = 12;
  const TINT = "rgb(220 60 60 / 0.55)";
  let photo = null, hole = null, first = null, steps = [], last = null;
  let cursor = null, isDown = false; // the keyboard's brush: where it is, in pixels of the hole, and whether it paints

  const canvas = () => document.getElementById("canvas");
  const copy = (source) => {
    const made = document.createElement("canvas");
    made.width = source.width;
    made.height = source.height;
    made.getContext("2d").drawImage(source, 0, 0);
    return made;
  };

  function draw() {
    const tinted = copy(hole);
    const layer = tinted.getContext("2d");
    layer.globalCompositeOperation = "source-in";
    layer.fillStyle = TINT;
    layer.fillRect(0, 0, tinted.width, tinted.height);
    const context = canvas().getContext("2d");
    context.drawImage(photo, 0, 0);
    context.drawImage(tinted, 0, 0);
    if (!cursor || !canvas().matches(":focus-visible")) return;
    for (const [colour, wider] of [["black", 1], ["white", 0]]) {
      context.beginPath();
      context.arc(...cursor, width() / 2 + wider * scale(), 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = 1.5 * scale();
      context.stroke();
    }
  }

  // In pixels of the hole: one of the screen, the middle, and the width of the brush.
  const scale = () => hole.width / canvas().getBoundingClientRect().width;
  const middle = () => [hole.width / 2, hole.height / 2];
  const width = () => document.getElementById("brush-size").value * scale();

  async function load(photoBlob, holeBlob) {
    photo = await createImageBitmap(photoBlob);
    const shown = canvas();
    shown.width = photo.width;
    shown.height = photo.height;
    hole = copy(await createImageBitmap(holeBlob));
    const context = hole.getContext("2d");
    const pixels = context.getImageData(0, 0, hole.width, hole.height);
    for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i]; // white is there, black is not
    context.putImageData(pixels, 0, 0);
    first = copy(hole);
    steps = [];
    cursor = null;
    draw();
  }

  function begin() {
    steps = [...steps, copy(hole)].slice(-MOST_STEPS);
    last = null;
  }

  function strokeTo(point) {
    const context = hole.getContext("2d");
    const erase = document.querySelector('input[name="tool"]:checked').value === "erase";
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = "white";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = width();
    context.beginPath();
    context.moveTo(...(last || point));
    context.lineTo(point[0] + 0.01, point[1]); // a line without length, by a click, would not be drawn
    context.stroke();
    last = point;
    draw();
  }

  function stroke(event) {
    if (!event.isPrimary) return; // a second finger would drag the stroke over to itself
    const box = canvas().getBoundingClientRect();
    strokeTo(cursor = [(event.clientX - box.left) * scale(), (event.clientY - box.top) * scale()]);
  }

  document.addEventListener("pointerdown", (event) => {
    if (event.target.id !== "canvas" || !hole || event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    event.target.setPointerCapture(event.pointerId);
    begin();
    stroke(event);
    event.target.onpointermove = stroke;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => { if (canvas()) canvas().onpointermove = null; });
  }

  const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    const direction = DIRECTIONS[event.key];
    if (event.target.id !== "canvas" || !hole || !(direction || event.key === " ")) return;
    event.preventDefault(); // the page would scroll
    cursor ??= middle();
    if (direction) {
      const far = event.shiftKey ? 1 : Math.max(1, width() / 4);
      const most = [hole.width, hole.height];
      cursor = cursor.map((at, axis) => Math.min(Math.max(at + far * direction[axis], 0), most[axis]));
    } else if (!event.repeat) {
      begin();
      isDown = true;
    }
    if (isDown) strokeTo(cursor); else draw();
  });
  document.addEventListener("keyup", (event) => { if (event.key === " ") isDown = false; });
  document.addEventListener("focusin", (event) => {
    if (event.target.id !== "canvas" || !hole || !event.target.matches(":focus-visible")) return;
    cursor ??= middle();
    draw();
  });
  document.addEventListener("focusout", (event) => {
    isDown = false;
    if (event.target.id === "canvas" && hole) draw();
  });

  document.addEventListener("click", (event) => {
    if (!hole) return;
    if (event.target.id === "undo" && steps.length) hole = steps.pop();
    if (event.target.id === "reset") { steps.push(hole); hole = copy(first); }
    if (["undo", "reset"].includes(event.target.id)) draw();
  });

  async function picture() {
    const whole = copy(hole);
    const context = whole.getContext("2d");
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "black";
    context.fillRect(0, 0, whole.width, whole.height);
    const data = context.getImageData(0, 0, whole.width, whole.height).data;
    if (!data.some((value, i) => i % 4 === 0 && value > 127)) return null;
    return new Promise((resolve) => whole.toBlob(resolve, "image/png"));
  }

  function clear() { photo = hole = first = null; steps = []; }

  return { load, picture, clear };
})();
