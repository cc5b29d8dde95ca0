"""The demo's page in a real browser: upload, click, look at the result."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

gradio = pytest.importorskip("gradio", reason="the page needs gradio: pip install gradio")
NEEDS_SELENIUM = "the page is tested through selenium: pip install selenium"
webdriver = pytest.importorskip("selenium.webdriver", reason=NEEDS_SELENIUM)
exceptions = pytest.importorskip("selenium.common.exceptions", reason=NEEDS_SELENIUM)
ui = pytest.importorskip("selenium.webdriver.support.ui", reason=NEEDS_SELENIUM)

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="chromium and chromedriver are not installed: apt-get install chromium chromium-driver",
    ),
]
SECONDS = 120


@pytest.fixture(scope="module")
def address(demo_folder, tmp_path_factory):
    """Starts `python app.py` as the README says, from another directory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "RETAINMIX_MODEL"},
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio")),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    folder = tmp_path_factory.mktemp("run")
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(
            [sys.executable, str(demo_folder / "app.py")], cwd=folder, env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        deadline = time.monotonic() + 2 * SECONDS
        while True:
            try:
                opener.open(url, timeout=5).close()
                break
            except OSError:
                running = process.poll() is None and time.monotonic() < deadline
                assert running, (folder / "log.txt").read_text()
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1500"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium, address):
    """The page as a new visitor has it."""
    chromium.get(address)
    wait(chromium, lambda: chromium.find_elements("id", "score"))
    return chromium


def upload(browser, element_id: str, paths: list[str]) -> None:
    browser.find_element("css selector", f"#{element_id} input[type=file]").send_keys("\n".join(paths))


def wait(browser, condition):
    waiting = ui.WebDriverWait(browser, SECONDS, ignored_exceptions=[exceptions.StaleElementReferenceException])
    return waiting.until(lambda _: condition())


def text(browser, selector: str) -> str:
    return " ".join(element.text for element in browser.find_elements("css selector", selector))


def badge(browser) -> str:
    """The verdict on the page; "": there is none."""
    return text(browser, "#verdict .rm-badge")


def hear(browser, test: str) -> None:
    """Upload the clip to judge, and wait until the page has it."""
    upload(browser, "test", [test])
    wait(browser, lambda: browser.find_elements("css selector", "#test #waveform, #test audio"))


def upload_and_score(browser, references: list[str], test: str) -> None:
    upload(browser, "references", references)
    wait(browser, lambda: Path(references[-1]).stem in text(browser, "#references").replace("\n", ""))
    hear(browser, test)
    browser.find_element("id", "score").click()


@pytest.fixture
def judged(browser, references, machine):
    """The page with a verdict on it."""
    upload_and_score(browser, references, str(machine["faulty"]))
    wait(browser, lambda: badge(browser) == "Anomalous")
    return browser


def test_uploaded_clips_are_judged_and_shown(judged):
    told = text(judged, "#verdict")
    assert "is above the threshold" in told and "p-value" in told and "standard deviations above" in told
    image = judged.find_element("css selector", "#verdict .rm-map img")
    wait(judged, lambda: judged.execute_script("return arguments[0].naturalWidth", image) > 50)
    assert image.is_displayed() and judged.find_elements("css selector", "#verdict .rm-box")


def test_picture_and_events_play_the_clip(judged):
    player = judged.find_element("css selector", "#verdict audio")
    # compared on the page: what is not there yet is NaN, which the driver hands over as None
    wait(judged, lambda: judged.execute_script("return arguments[0].duration > 1.9", player))
    picture = judged.find_element("css selector", "#verdict .rm-map")
    webdriver.ActionChains(judged).move_to_element(picture).click().perform()
    wait(judged, lambda: judged.execute_script("return arguments[0].currentTime >= 0.95", player))
    position = "return parseFloat(document.querySelector('.rm-head').style.left) > 40"
    wait(judged, lambda: judged.execute_script(position))
    judged.execute_script("arguments[0].pause(); arguments[0].currentTime = 0", player)
    burst = next(
        one
        for one in judged.find_elements("css selector", "#verdict .rm-event")
        if "at 1.0" in one.text or "at 0.9" in one.text
    )
    burst.find_element("css selector", "button").click()
    wait(judged, lambda: judged.execute_script("return arguments[0].currentTime > 0.9", player))


def change_rate(browser, machine):
    field = browser.find_element("css selector", "#rate input[type=number]")
    field.clear()
    field.send_keys("0.3\t")


def replace_clip(browser, machine):
    browser.find_element("css selector", "#test button[aria-label*='lear']").click()
    wait(browser, lambda: browser.find_elements("css selector", "#test input[type=file]"))
    hear(browser, str(machine["normal"]))


def remove_clip(browser, machine):
    browser.find_element("css selector", "#test button[aria-label*='lear']").click()


def remove_references(browser, machine):
    browser.find_element("css selector", "#references button[aria-label*='lear']").click()


@pytest.mark.parametrize("change", [replace_clip, remove_clip, remove_references, change_rate])
def test_when_anything_changes_then_the_verdict_is_gone(judged, machine, change):
    change(judged, machine)
    wait(judged, lambda: badge(judged) == "")
    assert "the verdict appears here" in text(judged, "#verdict")
    assert not judged.find_elements("css selector", "#verdict audio")


def test_when_the_clip_is_replaced_then_the_next_verdict_is_that_of_the_new_one(judged, machine):
    replace_clip(judged, machine)
    wait(judged, lambda: badge(judged) == "")
    judged.find_element("id", "score").click()
    wait(judged, lambda: badge(judged) == "Normal")
    assert "normal.wav" in text(judged, "#verdict")


def test_when_the_clip_is_removed_while_it_is_judged_then_its_verdict_never_shows(judged, machine):
    judged.find_element("id", "score").click()
    wait(judged, lambda: "Comparing" in text(judged, "#verdict"))
    remove_clip(judged, machine)
    wait(judged, lambda: "the verdict appears here" in text(judged, "#verdict"))
    judged.execute_script(
        "window.badges = 0; const verdict = document.querySelector('#verdict');"
        "new MutationObserver(() => { window.badges += verdict.querySelectorAll('.rm-badge').length })"
        ".observe(verdict, {subtree: true, childList: true})"
    )
    time.sleep(5)  # longer than the verdict takes
    assert judged.execute_script("return window.badges") == 0 and badge(judged) == ""


@pytest.mark.parametrize("place", ["references", "test"])
def test_when_a_file_is_broken_then_the_page_says_which_and_the_old_verdict_is_gone(
    judged, references, machine, tmp_path, place
):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"this is no sound")
    if place == "references":
        remove_references(judged, machine)
        wait(judged, lambda: judged.find_elements("css selector", "#references input[type=file]"))
        upload(judged, "references", [*references, str(broken)])
        wait(judged, lambda: "broken" in text(judged, "#references").replace("\n", ""))
    else:
        remove_clip(judged, machine)
        wait(judged, lambda: judged.find_elements("css selector", "#test input[type=file]"))
        hear(judged, str(broken))
    judged.find_element("id", "score").click()
    wait(judged, lambda: "broken.wav cannot be decoded" in text(judged, "#verdict"))
    assert badge(judged) == "" and not judged.find_elements("css selector", "#verdict audio")


def test_when_nothing_is_uploaded_then_the_page_asks_for_it(browser):
    browser.find_element("id", "score").click()
    wait(browser, lambda: "add recordings of the healthy machine" in text(browser, "#verdict"))


def test_the_first_example_is_taken_by_a_click_and_is_anomalous(browser):
    browser.find_element("id", "example").click()
    wait(browser, lambda: "reduction_gear_reference" in text(browser, "#references").replace("\n", ""))
    wait(browser, lambda: browser.find_elements("css selector", "#test #waveform, #test audio"))
    browser.find_element("id", "score").click()
    wait(browser, lambda: badge(browser) == "Anomalous")
    assert "reduction_gear_squeal.wav" in text(browser, "#verdict")


def test_clips_can_be_recorded_by_a_microphone(browser):
    assert browser.find_elements("css selector", "#test button[aria-label*='icrophone'], #test [aria-label*='ecord']")


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (390, "dark"), (1300, "light"), (1300, "dark")])
def test_page_is_as_wide_as_the_screen_and_its_text_can_be_read(chromium, address, references, machine, width, theme):
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        chromium.get(f"{address}/?__theme={theme}")
        wait(chromium, lambda: chromium.find_elements("id", "score"))
        upload_and_score(chromium, references, str(machine["faulty"]))
        wait(chromium, lambda: badge(chromium) == "Anomalous")
        assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        for selector in (".rm-where", ".rm-muted", ".rm-event span", "dd"):
            assert contrast(chromium, f"#verdict {selector}") > 4.5, selector
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def contrast(browser, selector: str) -> float:
    """Contrast of a text with the page behind it, as WCAG 2 defines it."""
    text_color, page_color = browser.execute_script(
        "const one = document.querySelector(arguments[0]); let behind = one;"
        "const color = (element) => getComputedStyle(element).backgroundColor;"
        "while (behind.parentElement && /, 0\\)|transparent/.test(color(behind))) behind = behind.parentElement;"
        "return [getComputedStyle(one).color, color(behind)]",
        selector,
    )
    light, dark = sorted((luminance(color) for color in (text_color, page_color)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
