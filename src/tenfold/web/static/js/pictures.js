// Pictures from elsewhere: a file, a paste, a drop, the camera. Each is given to `take(bitmap, blob)`.

import { $ } from "./result.js";

/** complain: (text) => void. */
export function listenForPictures(take, complain) {
  const open = async (blob) => {
    if (!blob) return;
    try {
      const bitmap = await createImageBitmap(blob, {
        imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none",
      });
      take(bitmap, blob);
    } catch {
      complain(`${blob.name ?? "this"} is not a picture that the browser can open`);
    }
  };
  listenForFiles(open);
  listenForPaste(open);
  listenForDrop(open, complain);
  if (navigator.mediaDevices?.getUserMedia) listenForCamera(open, complain);
}

function listenForFiles(open) {
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", async () => {
    await open($("file").files[0]);
    $("file").value = ""; // so that the same file can be opened again
  });
}

const pictureIn = (items) => [...(items ?? [])].find((item) => item.type.startsWith("image/"));

function listenForPaste(open) {
  document.addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData?.files);
    if (!file) return;
    event.preventDefault();
    open(file);
  });
}

function listenForDrop(open, complain) {
  const mark = (shown) => $("frame").classList.toggle("over", shown);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? mark(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    const file = pictureIn(event.dataTransfer?.files);
    if (file) open(file);
    else complain("what was dropped is not a picture file");
  });
}

function listenForCamera(open, complain) {
  const [dialog, video] = [$("shooting"), $("video")];
  $("camera").hidden = false;
  $("camera").addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      complain("the camera cannot be used: none is there, or this page may not");
      return;
    }
    dialog.showModal();
    await video.play();
  });
  $("shoot").addEventListener("click", async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    await open(await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92)));
  });
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  });
}
