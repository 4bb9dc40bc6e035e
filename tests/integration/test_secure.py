"""What a stop does to a device: one that nobody had begun to take over keeps its name, and one that is owned its owner."""
from harness import equal, eventually, main, test
from test_onboarding import secure_packages, start


@test()
def a_stop_before_any_transfer_keeps_the_name(w):
    tool, device = start(w)
    for _ in range(3):
        w.stop_ocfd()
        w.start_ocfd()
        equal(eventually(tool.unowned, "it is unowned", 20), [device])
    tool.own(device)
    w.stop_ocfd()
    w.start_ocfd()
    eventually(lambda: w.is_registered("/lamp"), "the lamp is back")
    equal(tool.ask("get", device, "/oic/sec/doxm")["body"]["deviceuuid"], device)
    equal(tool.unowned(), [], "unowned devices")


if __name__ == "__main__":
    secure_packages.go()  # while there is a network
    main()
