print "start"


def step_0(state):
    state["n"] = state["n"] + 0
    return state


def step_1(state):
    state["n"] = state["n"] + 1
    return state


def step_2(state):
    state["n"] = state["n"] + 2
    return state


def step_3(state):
    state["n"] = state["n"] + 3
    return state


def step_4(state):
    state["n"] = state["n"] + 4
    return state


def step_5(state):
    state["n"] = state["n"] + 5
    return state


def step_6(state):
    state["n"] = state["n"] + 6
    return state


def step_7(state):
    state["n"] = state["n"] + 7
    return state


def step_8(state):
    state["n"] = state["n"] + 8
    return state


def step_9(state):
    state["n"] = state["n"] + 9
    return state


def step_10(state):
    state["n"] = state["n"] + 10
    return state


def step_11(state):
    state["n"] = state["n"] + 11
    return state


def step_12(state):
    state["n"] = state["n"] + 12
    return state


def step_13(state):
    state["n"] = state["n"] + 13
    return state


def step_14(state):
    state["n"] = state["n"] + 14
    return state


def step_15(state):
    state["n"] = state["n"] + 15
    return state


def step_16(state):
    state["n"] = state["n"] + 16
    return state


def step_17(state):
    state["n"] = state["n"] + 17
    return state


def step_18(state):
    state["n"] = state["n"] + 18
    return state


def step_19(state):
    state["n"] = state["n"] + 19
    return state


def step_20(state):
    state["n"] = state["n"] + 20
    return state


def step_21(state):
    state["n"] = state["n"] + 21
    return state


def step_22(state):
    state["n"] = state["n"] + 22
    return state


def step_23(state):
    state["n"] = state["n"] + 23
    return state


def step_24(state):
    state["n"] = state["n"] + 24
    return state


def step_25(state):
    state["n"] = state["n"] + 25
    return state


def step_26(state):
    state["n"] = state["n"] + 26
    return state


def step_27(state):
    state["n"] = state["n"] + 27
    return state


def step_28(state):
    state["n"] = state["n"] + 28
    return state


def step_29(state):
    state["n"] = state["n"] + 29
    return state


def step_30(state):
    state["n"] = state["n"] + 30
    return state


def step_31(state):
    state["n"] = state["n"] + 31
    return state


def step_32(state):
    state["n"] = state["n"] + 32
    return state


def step_33(state):
    state["n"] = state["n"] + 33
    return state


def step_34(state):
    state["n"] = state["n"] + 34
    return state


def step_35(state):
    state["n"] = state["n"] + 35
    return state


def step_36(state):
    state["n"] = state["n"] + 36
    return state


def step_37(state):
    state["n"] = state["n"] + 37
    return state


def step_38(state):
    state["n"] = state["n"] + 38
    return state


def step_39(state):
    state["n"] = state["n"] + 39
    return state


def step_40(state):
    state["n"] = state["n"] + 40
    return state


def step_41(state):
    state["n"] = state["n"] + 41
    return state


def step_42(state):
    state["n"] = state["n"] + 42
    return state


def step_43(state):
    state["n"] = state["n"] + 43
    return state


def step_44(state):
    state["n"] = state["n"] + 44
    return state


def step_45(state):
    state["n"] = state["n"] + 45
    return state


def step_46(state):
    state["n"] = state["n"] + 46
    return state


def step_47(state):
    state["n"] = state["n"] + 47
    return state


def step_48(state):
    state["n"] = state["n"] + 48
    return state


def step_49(state):
    state["n"] = state["n"] + 49
    return state


def step_50(state):
    state["n"] = state["n"] + 50
    return state


def step_51(state):
    state["n"] = state["n"] + 51
    return state


def step_52(state):
    state["n"] = state["n"] + 52
    return state


def step_53(state):
    state["n"] = state["n"] + 53
    return state


def step_54(state):
    state["n"] = state["n"] + 54
    return state


def step_55(state):
    state["n"] = state["n"] + 55
    return state


def step_56(state):
    state["n"] = state["n"] + 56
    return state


def step_57(state):
    state["n"] = state["n"] + 57
    return state


def step_58(state):
    state["n"] = state["n"] + 58
    return state


def step_59(state):
    state["n"] = state["n"] + 59
    return state


for step in steps
    state = step(state)
