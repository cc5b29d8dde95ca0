"""The page in a real browser, opened from the disk: no error, no request, sorting, players, widths and themes."""

import shutil

import pytest

from modeling_retainmix.reports import write_report

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="the page is tested through selenium: pip install selenium"
)
ui = pytest.importorskip("selenium.webdriver.support.ui", reason="pip install selenium")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="chromium and chromedriver are not installed: apt-get install chromium chromium-driver",
    ),
]
SECONDS = 30


@pytest.fixture(scope="module")
def address(detector, machine, tmp_path_factory):
    output = tmp_path_factory.mktemp("stick") / "report.html"
    write_report(detector, machine / "test", output)
    return output.as_uri()


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver, address):
    """The page, opened anew, 1100 pixels wide."""
    set_width(driver, 1100)
    for kind in ("browser", "performance"):
        driver.get_log(kind)  # of the page before
    driver.get(address)
    return driver


def set_width(driver, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def column(browser, index):
    script = (
        "return [...document.querySelectorAll('#table tbody tr')].map(row => row.cells[arguments[0]].dataset.value)"
    )
    return browser.execute_script(script, index)


def test_when_the_page_is_opened_then_there_is_no_error_and_no_request(browser, address):
    assert browser.get_log("browser") == []
    log = [entry["message"] for entry in browser.get_log("performance")]
    requested = {text.split('"url":"')[1].split('"')[0] for text in log if "Network.requestWillBeSent" in text}
    assert {one for one in requested if not one.startswith("data:")} == {address}


def test_when_a_heading_is_pressed_then_the_table_is_sorted_by_it_and_pressed_again_the_other_way(browser):
    scores = column(browser, 3)
    assert scores == sorted(scores, key=float, reverse=True) and len(scores) == 4
    headings = browser.find_elements("css selector", "#table thead th")
    headings[3].find_element("tag name", "button").click()
    assert column(browser, 3) == scores[::-1] and headings[3].get_attribute("aria-sort") == "ascending"
    headings[3].find_element("tag name", "button").click()
    assert column(browser, 3) == scores and headings[3].get_attribute("aria-sort") == "descending"
    headings[1].find_element("tag name", "button").click()
    names = column(browser, 1)
    assert names[1:] == ["faulty_0.wav", "healthy_0.wav", "night/healthy_1.wav"]
    assert headings[3].get_attribute("aria-sort") is None


def test_when_scripts_are_off_then_the_table_is_there_most_anomalous_first(browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        rows = browser.find_elements("css selector", "#table tbody tr")
        assert [row.find_element("tag name", "td").get_attribute("data-value") for row in rows] == ["1", "2", "3", "4"]
        assert browser.find_elements("css selector", "#table button") == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("width", [360, 640, 800, 1600])
def test_when_the_page_is_so_wide_then_nothing_reaches_beyond_it(browser, width):
    set_width(browser, width)
    script = """
    const right = document.documentElement.clientWidth;
    const beyond = [...document.querySelectorAll("body *")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && !element.closest(".map") && (box.right > right + 0.5 || box.left < -0.5);
    });
    const overflow = document.documentElement.scrollWidth - right;
    return [window.innerWidth, overflow, beyond.map((element) => element.outerHTML.slice(0, 200))];
    """
    assert browser.execute_script(script) == [width, 0, []]


def test_when_a_player_is_started_then_it_plays(browser):
    player = browser.find_element("tag name", "audio")
    browser.execute_script("arguments[0].muted = true; arguments[0].play()", player)
    ui.WebDriverWait(browser, SECONDS).until(lambda _: player.get_property("currentTime") > 0.05)
    assert player.get_property("duration") == pytest.approx(1, abs=0.01) and player.get_property("error") is None


def test_when_pictures_are_shown_then_all_are_decoded_and_boxes_lie_on_them(browser):
    script = """
    return [...document.querySelectorAll(".map")].map((map) => {
      const outer = map.getBoundingClientRect();
      const boxes = [...map.querySelectorAll(".box")].map((box) => box.getBoundingClientRect());
      return [map.querySelector("img").naturalWidth, boxes.length,
        boxes.every((box) => box.left >= outer.left - 6 && box.right <= outer.right + 6)];
    });
    """
    found = browser.execute_script(script)
    assert len(found) == 4 and all(width == 49 and inside for width, _, inside in found)
    assert sum(count for _, count, _ in found) > 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_when_a_theme_is_preferred_then_text_has_contrast_on_its_ground(browser, theme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    script = """
    const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => rgb(color).slice(0, 3).map((value) => value / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
      .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const ground = (element) => {
      for (; element; element = element.parentElement) {
        const color = getComputedStyle(element).backgroundColor;
        if ((rgb(color)[3] ?? 1) > 0) return color;
      }
    };
    const low = [];
    for (const element of document.querySelectorAll("body *")) {
      if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
      if (["SCRIPT", "STYLE", "title", "desc"].includes(element.tagName)) continue;
      const style = getComputedStyle(element);
      const color = element.tagName === "text" ? style.fill : style.color;
      const [one, other] = [luminance(color), luminance(ground(element))];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (contrast < 4.5) low.push([contrast, element.outerHTML.slice(0, 150)]);
    }
    return [getComputedStyle(document.body).backgroundColor, low];
    """
    ground, low = browser.execute_script(script)
    assert low == [] and ground == {"light": "rgb(247, 247, 245)", "dark": "rgb(18, 21, 25)"}[theme]
